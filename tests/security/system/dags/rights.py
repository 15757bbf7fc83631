"""Two DAGs for users with different rights: one that an attacker may edit, and one with another user's training."""

from __future__ import annotations

from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator

SCRIPT = "\"><script>document.title='hacked'</script>'"
IMAGE = "<img src=x onerror=\"document.title='hacked'\">"
FILES = sorted((Path(__file__).parent / "datasets" / "hero-character").glob("*.jpg"))[:2]
PACE = {"poke_interval": 1, "retries": 0}


def a_training(task_id: str, caption: str, prompt: str, names: list[str]) -> ScenarioTrainLoraOperator:
    return ScenarioTrainLoraOperator.partial(
        task_id=task_id,
        type="flux.1-lora",
        images=[{"path": str(path), "caption": f"{caption} {path.stem}"} for path in FILES],
        parameters={"nb_epochs": 1, "sample_prompts": [prompt]},
    ).expand(name=names)


with DAG("mine", schedule=None, catchup=False, default_args=PACE):
    EmptyOperator(task_id="nothing")
    # The first continues, the second fails, the third succeeds, and each of the others is for one test.
    names = [f"shown {SCRIPT}", f"fails {SCRIPT}", f"ends {SCRIPT}", "of forms", "of xcoms", "of the audit log"]
    train = a_training("own_task", SCRIPT + IMAGE, IMAGE + SCRIPT, names)
    later = ScenarioTrainModelOperator(task_id="later", model_id="model_of_nobody", trigger_rule="all_done")
    train >> later

with DAG("victims", schedule=None, catchup=False, default_args=PACE):
    a_training("secret_task", "secret caption", "secret prompt", ["secret name"])
