"""
Every code block in README and docs is parsed, and its names, arguments and commands exist.

``tests/system/test_docs.py`` runs the whole DAGs.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import importlib
import importlib.util
import inspect
import io
import json
import re
import runpy
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import cache
from typing import Any

import pytest
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseOperator
from packaging.requirements import Requirement

from tests.code_blocks import NOT_CODE, ROOT, all_blocks, blocks_of, commands

PACKAGE = "airflow_provider_scenario"
BLOCKS = all_blocks()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_OURS = {
    *("cat", "cd", "cp", "curl", "echo", "export", "git", "kill", "ls", "mkdir", "mv", "sleep", "source", "unzip"),
    *("docker", "kubectl", "pre-commit", "redis-cli"),
}
"""Commands whose arguments are not checked. Others are unknown to these tests, and so a failure."""


def of(*languages: str) -> list[Any]:
    """The blocks of these languages as parameters of a test."""
    checked = [block for block in BLOCKS if block.language in languages and not block.not_checked]
    return [pytest.param(block, id=str(block)) for block in checked]


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in BLOCKS])
def test_a_block_has_a_language_that_is_checked(block):
    assert block.language in {*PARSERS, "python", "bash", NOT_CODE}, f"{block}: no check for {block.language!r}"


@pytest.mark.parametrize("block", of(NOT_CODE))
def test_text_holds_no_code(block):
    code = r"^\s*(\$ |import |from \w+ import|pip |make |airflow |python3? -m |export )"
    found = re.search(code, block.code, re.MULTILINE)
    assert found is None, f"{block}: {found[0]!r} is code; mark the block as bash or python"


PAGE = """
1. In a list:

   ```bash
   a &&
   ```

```{note}
:class: wide

~~~python
import nothing
~~~
```

<!-- not run: needs a cluster -->
```python
DAG("one")
```

<!-- not checked: shows an error -->
```python
DAG(dag_id="two"
```

```{code-block} yaml
:caption: training.yaml

a: 1
```

    indented
"""


def test_blocks_are_found_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.code_blocks.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    assert [(each.language, each.line, each.code.strip()) for each in blocks_of(tmp_path / "page.md")] == [
        ("bash", 4, "a &&"),
        ("python", 11, "import nothing"),
        ("python", 17, 'DAG("one")'),
        ("python", 22, 'DAG(dag_id="two"'),
        ("yaml", 26, "a: 1"),
        ("", 32, "indented"),
    ]
    exemptions = [(each.not_run, each.not_checked) for each in blocks_of(tmp_path / "page.md")]
    assert exemptions == [*[(None, None)] * 2, ("needs a cluster", None), (None, "shows an error"), *[(None, None)] * 2]


SCRIPT = """
# a comment
A='{"b":
    1}' airflow standalone > log 2>&1 &
make demo \\
    ARGS="--dag x"   # and so on
cat > a.py <<'EOF'
import this
EOF
(cd a && ls "b;c") | wc -l
"""


def test_commands_are_found_in_a_script():
    assert list(commands(SCRIPT)) == [
        ["airflow", "standalone"],
        ["make", "demo", "ARGS=--dag x"],
        ["cat"],
        ["cd", "a"],
        ["ls", "b;c"],
        ["wc", "-l"],
    ]


@pytest.mark.parametrize(
    "command",
    [
        "airflow pools set a",
        "airflow scenarios",
        "make everything",
        "python -m airflow_provider_scenario.emulator --sceonds 5",
        "python -m airflow_provider_scenario.nothing",
        "python benchmarks/nothing.py",
        "pip install airflow-provider-scenario[everything]",
        "nox -s 2.0",
        "nothing",
    ],
)
def test_a_wrong_command_is_a_failure(command):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_command(*command.split())


@pytest.mark.parametrize(
    "code",
    [
        "ScenarioTrainLoraOperator(nmae='a')",
        "ScenarioTrainLoraOperator.partial(nmae='a').expand_kwargs(b)",
        "ScenarioTrainLoraOperator.partial(name='a').expand(imges=b)",
        "ScenarioHook().client.get_model(nmae='a')",
    ],
)
def test_a_wrong_argument_is_a_failure(code):
    tree = ast.parse(f"{IMPORTS}\n{code}")
    with pytest.raises(AssertionError):
        check_arguments(tree, 0)


IMPORTS = """
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
"""


# Data


def _ini(text: str) -> None:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(text)
    for section in parsed.sections():
        for option in parsed[section]:
            assert is_option(section, option), f"Airflow has no option [{section}] {option}"


def _json(text: str) -> None:
    """One value, or one a line: Pygments does not know ``jsonl``."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            json.loads(line)


PARSERS: dict[str, Callable[[str], Any]] = {
    "ini": _ini,
    "json": _json,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}


@pytest.mark.parametrize("block", of(*PARSERS))
def test_data_can_be_parsed(block):
    PARSERS[block.language](block.code)


def is_option(section: str, option: str) -> bool:
    """Whether Airflow or an installed provider documents the option."""
    options = conf.configuration_description.get(section.lower(), {}).get("options", {})
    return option.lower() in {name.lower() for name in options}


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS} | {"README.md"}))
def test_an_option_of_airflow_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`\[(\w+)\] (\w+)", text)
    named += re.findall(r"\bAIRFLOW__([A-Z]+(?:_[A-Z]+)*)__([A-Z_]+)\b", text)
    assert [pair for pair in named if not is_option(*pair)] == []


# Python


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles_and_its_imports_and_arguments_exist(block):
    tree = ast.parse(block.code)
    compile(tree, str(block), "exec")
    check_arguments(tree, block.line)


@pytest.mark.parametrize("block", [parameter for parameter in of("python") if parameter.values[0].dag_ids])
def test_airflow_loads_a_whole_dag(block, tmp_path):
    (tmp_path / "a_dag.py").write_text(block.code, encoding="utf-8")
    bag = DagBag(tmp_path)
    assert bag.import_errors == {}
    assert sorted(bag.dag_ids) == sorted(block.dag_ids)


def test_no_two_pages_define_the_same_dag():
    times = Counter(dag_id for block in BLOCKS for dag_id in block.dag_ids)
    assert [dag_id for dag_id in times if times[dag_id] > 1] == []


def check_arguments(tree: ast.AST, line: int) -> None:
    """Fail if our package lacks what a block imports from it, or an argument that a block gives."""
    names = dict(imported(tree))
    calls = [(*called(node, names), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    unknown = [
        f"{name}({keyword.arg}=…) in line {line + call.lineno}"
        for name, function, call in calls
        if is_ours(function)
        for keyword in call.keywords
        if keyword.arg is not None and not takes(function, keyword.arg)
    ]
    assert unknown == []


def imported(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """What a block imports, by the name that it has there. Fails if it does not exist."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                yield alias.asname or alias.name, attribute(str(node.module), alias.name)


def attribute(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(f"{module}.{name}")


def called(call: ast.Call, names: dict[str, Any]) -> tuple[str, Any]:
    """Name and function of a call; for ``X.partial(…).expand(…)``, that is X. None if only running it would tell."""
    function = call.func
    while isinstance(function, ast.Attribute) and function.attr in ("partial", "expand"):
        function = function.value.func if isinstance(function.value, ast.Call) else function.value
    if isinstance(function, ast.Name):
        return function.id, names.get(function.id)
    if isinstance(function, ast.Attribute) and "client" in ast.unparse(function.value):
        return ast.unparse(function), client_method(ast.unparse(function), names)
    return "", None


def client_method(text: str, names: dict[str, Any]) -> Any:
    """The method of ``ScenarioHook(…).client.get_model``."""
    found = re.fullmatch(r"(\w+Hook)\(.*\)\.client\.(\w+)", text)
    if found is None or found[1] not in names:
        return None
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.workshop.client import WorkshopClient

    return getattr(ScenarioClient if found[1] == "ScenarioHook" else WorkshopClient, found[2])


def is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith(PACKAGE)


@cache
def takes(function: Any, keyword: str) -> bool:
    """Whether a function, or a class with its bases, has an argument of this name."""
    if not inspect.isclass(function):
        known = inspect.signature(function).parameters
        return keyword in known or any(each.kind is each.VAR_KEYWORD for each in known.values())
    of_all = {name for each in function.__mro__ for name in inspect.signature(each.__init__).parameters}
    if issubclass(function, BaseOperator):
        of_all.add("map_index_template")
    return keyword in of_all


# Shell


@pytest.mark.parametrize("block", of("bash"))
def test_bash_parses(block):
    parsed = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True, check=False)
    assert parsed.stderr == ""
    assert parsed.returncode == 0


@pytest.mark.parametrize("block", of("bash"))
def test_every_command_and_option_exists(block):
    for command in commands(block.code):
        check_command(*command)


def check_command(program: str, *arguments: str) -> None:
    """Fail if a command of this project, of Airflow or of Python's tools does not exist as it is written."""
    program = program.removeprefix(".venv/bin/")
    if program in NOT_OURS:
        return
    match program, arguments:
        case "airflow", _:
            parse(lambda: get_parser().parse_args(list(arguments)), f"airflow {' '.join(arguments)}")
        case "make", _:
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            assert [each for each in arguments if "=" not in each and each not in targets] == []
        case (("python" | "python3"), ("-m", "pip", *rest)):
            check_command("pip", *rest)
        case (("python" | "python3"), ("-m", "venv", *_)):
            pass
        case (("python" | "python3"), ("-m", module, *rest)):
            check_module(module, rest)
        case (("python" | "python3"), (script, *_)) if script.endswith(".py"):
            assert (ROOT / script).is_file(), f"there is no {script}"
        case "pip", ("install", *requirements):
            for each in requirements:
                check_requirement(each)
        case "pytest", _:
            for each in arguments:
                assert not each.startswith("tests/") or (ROOT / each.partition("::")[0]).exists(), each
        case "nox", _:
            minors = [path.stem.removeprefix("constraints-") for path in (ROOT / ".ci").glob("constraints-*.txt")]
            assert not arguments or arguments == ("-l",) or (arguments[0] == "-s" and arguments[1] in minors)
        case _ if program.startswith("."):
            assert (ROOT / program).is_file(), f"there is no {program}"
        case _:
            pytest.fail(f"{program!r} is not known to these tests: add a check for it, or its name to NOT_OURS")


def check_module(module: str, arguments: list[str]) -> None:
    """Parse the options of a module of ours as it does itself, and stop there."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec is not None, f"there is no module {module}"
    if not module.startswith(PACKAGE):
        assert not arguments or not module.startswith("tests"), f"{module} takes no options"
        return
    parse(lambda: run_until_parsed(str(spec.origin), arguments), f"python -m {module} {' '.join(arguments)}")


class _ParsedError(Exception):
    """The options are parsed; nothing else of the module is to run."""


def run_until_parsed(script: str, arguments: list[str]) -> None:
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> None:
        parse_args(self, args, namespace)
        raise _ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        patch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(_ParsedError):
            runpy.run_path(script, run_name="__main__")


def parse(parser: Callable[[], Any], command: str) -> None:
    """Fail with what the parser says about a command that it refuses."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parser()
    except SystemExit as ended:
        if ended.code:
            pytest.fail(f"{command}: {said.getvalue()}")


def check_requirement(text: str) -> None:
    """Check what ``pip install`` is given: a package, or an option."""
    if text.startswith(("-", "/", ".", "http", "dist/")):
        return
    wanted = Requirement(text)
    if wanted.name == PROJECT["name"]:
        assert wanted.extras <= set(PROJECT["optional-dependencies"]), f"{wanted.name} has no extra {wanted.extras}"
