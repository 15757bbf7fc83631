"""Train image models on Scenario (scenario.com) from Apache Airflow."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Tell Airflow what is here; read at the start of every Airflow process, so nothing heavy is imported."""
    from airflow_provider_scenario.hooks.connection_form import SCENARIO_FORM

    package = "airflow_provider_scenario"
    integration = "Scenario"
    return {
        "package-name": "airflow-provider-scenario",
        "name": integration,
        "description": "Train image models on `Scenario <https://www.scenario.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": integration, "external-doc-url": "https://docs.scenario.com/", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.scenario"]}],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.operators.{module}" for module in ("cost", "model", "training")],
            }
        ],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors.training"]}],
        "triggers": [{"integration-name": integration, "python-modules": [f"{package}.triggers.training"]}],
        "connection-types": [
            {
                "connection-type": "scenario",
                "hook-class-name": f"{package}.hooks.scenario.ScenarioHook",
                "hook-name": integration,
                **SCENARIO_FORM.provider_info(),
            }
        ],
        "asset-uris": [{"schemes": ["scenario"], "handler": f"{package}.assets.sanitize_uri"}],
        "extra-links": [f"{package}.links.ScenarioModelLink"],
    }
