"""DAGs for the Trainings page: a mapped batch with one hostile name, a voice, and an empty task."""

from __future__ import annotations

from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

EVIL = "\"><script>document.title='hacked'</script>\u202e'"
FILES = sorted((Path(__file__).parent / "datasets" / "hero-character").glob("*.jpg"))[:2]

with DAG("page", schedule=None, catchup=False, default_args={"poke_interval": 1, "retries": 0}):
    nothing = EmptyOperator(task_id="nothing")
    train = ScenarioTrainLoraOperator.partial(
        task_id="train",
        type="flux.1-lora",
        images=[{"path": str(FILES[0]), "caption": EVIL}, {"path": str(FILES[1]), "caption": "Pip waves"}],
        parameters={"nb_epochs": 3, "sample_prompts": ["Pip on a boat", "Pip in the rain"]},
    ).expand(name=["hero", EVIL])
    nothing >> train

with DAG("voice", schedule=None, catchup=False, default_args={"poke_interval": 1, "retries": 0}):
    ScenarioTrainLoraOperator(
        task_id="train",
        name="narrator",
        type="elevenlabs-voice",
        images="{{ dag_run.conf['recordings'] }}",
        parameters={"clone_type": "professional"},
    )

with DAG("page_ends", schedule=None, catchup=False, default_args={"poke_interval": 1, "retries": 0}):
    ScenarioTrainLoraOperator.partial(
        task_id="train", type="flux.1-lora", parameters={"nb_epochs": 3, "sample_prompts": ["Pip on a boat"]}
    ).expand_kwargs(
        [
            {"name": "castle", "images": list(map(str, FILES))},
            {"name": "dragon", "images": list(map(str, FILES))},
            {"name": "wizard", "images": list(map(str, FILES)), "max_creative_units": 1},
            {"name": "knight", "images": "/nowhere/knight"},
        ]
    )
