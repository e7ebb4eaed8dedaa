# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in the tarball, and that its playbooks and documentation work from where a user has them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from installation import FULL_NAME, Installed
from process import CHECKOUT

MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
FILTERS = sorted(path.stem for path in (CHECKOUT / "plugins" / "filter").glob("*.py"))
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml"))


def test_tarball_is_small_and_holds_only_what_runs_on_a_fleet(installed: Installed) -> None:
    with tarfile.open(installed.tarball) as tarball:
        names = [name for name in tarball.getnames() if "/" in name]
    top = {name.split("/")[0] for name in names}
    assert top <= {"LICENSES", "changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles"}
    assert not [name for name in names if name.startswith("extensions/molecule") or "__pycache__" in name]
    assert installed.tarball.stat().st_size < 500_000


def test_collection_stands_alone() -> None:
    assert not yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8")).get("dependencies")


def test_action_group_holds_every_module() -> None:
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["netconsole"] == MODULES


def test_playbooks_pass_the_syntax_check_from_elsewhere(installed: Installed) -> None:
    (installed.elsewhere / "inventory.yml").write_text(
        "netconsole_receivers: {hosts: {log1: {}}}\nnetconsole_senders: {hosts: {web1: {}}}\n", encoding="utf-8"
    )
    names = [f"{FULL_NAME}.{name}" for name in PLAYBOOKS]
    output = installed.run("ansible-playbook", "-i", "inventory.yml", *names, "--syntax-check")
    assert [line for line in output.splitlines() if line.startswith("playbook: ")] == [
        f"playbook: {installed.root}/playbooks/{name}.yml" for name in PLAYBOOKS
    ]


@pytest.fixture(scope="session")
def documents(installed: Installed) -> dict[str, Any]:
    """Everything that ansible-doc knows, by full name and kind."""
    return {kind: installed.documentation(kind) for kind in ("module", "filter", "role")}


@pytest.mark.parametrize(
    ("kind", "names"), [("module", MODULES), ("filter", FILTERS), ("role", ROLES)], ids=["module", "filter", "role"]
)
def test_everything_is_documented(documents: dict[str, Any], kind: str, names: list[str]) -> None:
    assert sorted(documents[kind]) == [f"{FULL_NAME}.{name}" for name in names]


@pytest.mark.parametrize("name", MODULES)
def test_module_documentation_is_complete(documents: dict[str, Any], name: str) -> None:
    document = documents["module"][f"{FULL_NAME}.{name}"]
    assert {"check_mode", "diff_mode", "idempotent"} <= set(document["doc"]["attributes"])
    assert document["doc"]["version_added"]
    assert document["return"]
    for option in _options(document["doc"].get("options", {})):
        assert option["description"]
    for value in document["return"].values():
        assert value["description"]
        assert value["returned"]
        assert value["type"]


def test_examples_are_tasks_that_ansible_takes(installed: Installed, documents: dict[str, Any], tmp_path: Path) -> None:
    plays = []
    for kind, names in (("module", MODULES), ("filter", FILTERS)):
        for name in names:
            tasks = yaml.safe_load(documents[kind][f"{FULL_NAME}.{name}"]["examples"])
            assert tasks, name
            plays.append(tmp_path / f"{kind}-{name}.yml")
            play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
            plays[-1].write_text(json.dumps(play), encoding="utf-8")
    output = installed.run("ansible-playbook", "-i", "web1,", *map(str, plays), "--syntax-check")
    assert output.count("playbook: ") == len(plays)


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_the_options_as_documented(documents: dict[str, Any], name: str) -> None:
    document = documents["module"][f"{FULL_NAME}.{name}"]
    options = document["doc"].get("options", {})
    uses = [task[f"{FULL_NAME}.{name}"] or {} for task in _tasks(yaml.safe_load(document["examples"]), name)]
    assert uses
    for use in uses:
        assert set(use) <= set(options), use
        assert {option for option, facts in options.items() if facts.get("required")} <= set(use), use


@pytest.mark.parametrize("name", ROLES)
def test_role_defaults_are_those_of_its_documentation(documents: dict[str, Any], name: str) -> None:
    options = documents["role"][f"{FULL_NAME}.{name}"]["entry_points"]["main"]["options"]
    defaults = yaml.safe_load((CHECKOUT / "roles" / name / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
    documented = {option: facts["default"] for option, facts in options.items() if "default" in facts}
    computed = {option for option, value in defaults.items() if isinstance(value, str) and "{{" in value}
    assert set(defaults) <= set(options)
    assert {option: value for option, value in documented.items() if option not in computed} == {
        option: value for option, value in defaults.items() if option not in computed
    }


def _options(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Flatten options and their suboptions."""
    found = []
    for option in options.values():
        found += [option, *_options(option.get("suboptions") or {})]
    return found


def _tasks(tasks: list[dict[str, Any]], module: str) -> list[dict[str, Any]]:
    """Find the tasks that call the module, those in blocks included."""
    found = []
    for task in tasks:
        for part in ("block", "rescue", "always"):
            found += _tasks(task.get(part, []), module)
        if f"{FULL_NAME}.{module}" in task:
            found.append(task)
    return found
