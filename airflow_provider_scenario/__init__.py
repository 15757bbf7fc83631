"""Train image models on Scenario (scenario.com) from Apache Airflow."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """
    Describe this package to Airflow, which calls this at the start of every process: nothing heavy is imported.

    It has no ``plugins``: an entry point names the page, and Airflow 3.3 reports a plugin that both name as an error.
    """
    from airflow_provider_scenario.hooks.connection_form import SCENARIO_FORM, WORKSHOP_FORM

    package = "airflow_provider_scenario"
    scenario, workshop = "Scenario", "AI Creation Workshop"

    def modules(integration: str, kind: str, *names: str) -> dict[str, Any]:
        return {"integration-name": integration, "python-modules": [f"{package}.{kind}.{name}" for name in names]}

    return {
        "package-name": "airflow-provider-scenario",
        "name": scenario,
        "description": "Train image models on `Scenario <https://www.scenario.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": scenario, "external-doc-url": "https://docs.scenario.com/", "tags": ["service"]},
            {
                "integration-name": workshop,
                "external-doc-url": "https://help.aliyun.com/en/document_detail/2834502.html",
                "tags": ["service"],
            },
        ],
        "hooks": [modules(scenario, "hooks", "scenario"), modules(workshop, "hooks", "ai_creation_workshop")],
        "operators": [
            modules(scenario, "operators", "cost", "model", "training"),
            modules(workshop, "operators", "model_sync"),
        ],
        "sensors": [modules(scenario, "sensors", "training"), modules(workshop, "sensors", "model_sync")],
        "triggers": [modules(scenario, "triggers", "training"), modules(workshop, "triggers", "model_sync")],
        "connection-types": [
            {
                "connection-type": "scenario",
                "hook-class-name": f"{package}.hooks.scenario.ScenarioHook",
                "hook-name": scenario,
                **SCENARIO_FORM.provider_info(),
            },
            {
                "connection-type": "ai_creation_workshop",
                "hook-class-name": f"{package}.hooks.ai_creation_workshop.AICreationWorkshopHook",
                "hook-name": workshop,
                **WORKSHOP_FORM.provider_info(),
            },
        ],
        "config": {
            "scenario": {
                "description": "The Trainings page of airflow-provider-scenario.",
                "options": {
                    "page_calls_scenario": {
                        "description": (
                            "Whether the API server requests the progress, the pictures and the details of trainings "
                            "from Scenario. Set it to False if the API server must not or cannot reach Scenario: the "
                            "page then shows only what Airflow knows."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                },
            },
        },
        "asset-uris": [
            {
                "schemes": ["scenario"],
                "handler": f"{package}.assets.sanitize_uri",
                "to_openlineage_converter": f"{package}.assets.to_open_lineage",
            }
        ],
        "extra-links": [f"{package}.links.ScenarioModelLink"],
        # Read from Airflow 3.2 on; on 3.1 `python -m airflow_provider_scenario` has the same commands.
        "cli": [f"{package}.cli.definition.get_scenario_cli_commands"],
    }
