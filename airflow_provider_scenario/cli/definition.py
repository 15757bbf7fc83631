"""
The commands and their options. Each ``airflow`` command imports this module, so it imports nothing heavy.

The functions of the commands are imported when they are called.
"""

from __future__ import annotations

from argparse import ArgumentTypeError

from airflow_provider_scenario.airflow_compat.cli import ActionCommand, GroupCommand, argument, lazy_load_command
from airflow_provider_scenario.emulator.options import options

EXIT_CODES = "Exit code: 0 done, 1 failed, 2 wrong usage."
DOCTOR_EXIT_CODES = "Exit code: 0 all checks are ok or warnings, 1 a check has failed, 2 wrong usage."


def _positive(value: str) -> int:
    if value.isdecimal() and 0 < int(value) <= 1_000_000:
        return int(value)
    raise ArgumentTypeError(f"{value!r} is not a whole number from 1 on")


CONN_ID = argument(
    "--conn-id", default="scenario_default", help="connection of type 'scenario' (default: scenario_default)"
)
OUTPUT = argument(
    "-o",
    "--output",
    choices=("table", "json", "yaml", "plain"),
    default="table",
    help="format of the output; messages and logs go to stderr (default: table)",
)
LIMIT = argument("--limit", type=_positive, default=50, metavar="N", help="how many to list at most (default: 50)")
MODEL_ID = argument("model_id", metavar="MODEL_ID", help="such as model_8XkAbc")

DOCTOR = ActionCommand(
    name="doctor",
    help="Check that trainings can run here",
    description="Check the connection, the service, the clock, Airflow and the page. Costs nothing, changes nothing.",
    epilog=DOCTOR_EXIT_CODES,
    func=lazy_load_command("airflow_provider_scenario.cli.doctor.command.doctor"),
    args=(
        CONN_ID,
        argument(
            "--workshop-conn-id",
            metavar="CONN_ID",
            help="also check this connection of type 'ai_creation_workshop'",
        ),
        argument(
            "--pool",
            action="append",
            default=[],
            metavar="NAME",
            help="check this pool instead of those that tasks of this provider use; may be repeated",
        ),
        OUTPUT,
    ),
)
EMULATOR = ActionCommand(
    name="emulator",
    help="Serve a local stand-in for Scenario",
    description="Serve a local stand-in for Scenario and AI Creation Workshop, to try DAGs without costs.",
    func=lazy_load_command("airflow_provider_scenario.cli.emulator.emulator"),
    args=[argument(flag, **option) for flag, option in options().items()],
)
MODELS = GroupCommand(
    name="models",
    help="List and show models",
    subcommands=(
        ActionCommand(
            name="list",
            help="List the models of the project, newest first",
            epilog=EXIT_CODES,
            func=lazy_load_command("airflow_provider_scenario.cli.models.list_models"),
            args=(
                argument(
                    "--status",
                    choices=("new", "training", "trained", "failed", "deleted"),
                    help="only models with this status",
                ),
                LIMIT,
                CONN_ID,
                OUTPUT,
            ),
        ),
        ActionCommand(
            name="show",
            help="Show a model and its training",
            epilog=EXIT_CODES,
            func=lazy_load_command("airflow_provider_scenario.cli.models.show_model"),
            args=(MODEL_ID, CONN_ID, OUTPUT),
        ),
    ),
)
TRAININGS = GroupCommand(
    name="trainings",
    help="List and cancel trainings",
    subcommands=(
        ActionCommand(
            name="list",
            help="List the trainings that run now",
            description="List the trainings of the project that run now, whoever has started them.",
            epilog=EXIT_CODES,
            func=lazy_load_command("airflow_provider_scenario.cli.trainings.list_trainings"),
            args=(LIMIT, CONN_ID, OUTPUT),
        ),
        ActionCommand(
            name="cancel",
            help="Cancel the training of a model",
            description="Cancel the training of a model. It may stay billed: Scenario does not promise a refund.",
            epilog=EXIT_CODES,
            func=lazy_load_command("airflow_provider_scenario.cli.trainings.cancel_training"),
            args=(
                MODEL_ID,
                argument("--job-id", metavar="JOB_ID", help="cancel only if this job trains the model now"),
                argument("-y", "--yes", action="store_true", help="do not ask for confirmation"),
                CONN_ID,
                OUTPUT,
            ),
        ),
    ),
)
ESTIMATE = ActionCommand(
    name="estimate",
    help="Estimate what a batch of trainings would cost",
    description="Estimate what trainings on these datasets would cost. Nothing is started, uploaded or billed.",
    epilog=EXIT_CODES,
    func=lazy_load_command("airflow_provider_scenario.cli.estimate.estimate"),
    args=(
        argument(
            "folders",
            nargs="+",
            metavar="FOLDER",
            help="a dataset, or a folder with a folder for each dataset: a path or a URL",
        ),
        argument("--type", metavar="TYPE", help="model type of the datasets whose training.yaml sets none"),
        argument(
            "--parameters",
            metavar="JSON",
            help="""training parameters as a JSON object, such as '{"nb_epochs": 10}'; training.yaml overrides them""",
        ),
        CONN_ID,
        OUTPUT,
    ),
)

COMMANDS = (DOCTOR, EMULATOR, ESTIMATE, MODELS, TRAININGS)


def get_scenario_cli_commands() -> list[GroupCommand]:
    """Return the commands for Airflow."""
    return [GroupCommand(name="scenario", help="Train image models on Scenario", subcommands=COMMANDS)]
