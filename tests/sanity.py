# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test sanity on a copy of the collection, with every Python that this machine has, without ignore files.

antsibull-nox would fetch ansible-core from GitHub for it; here the ansible-core of .venv is used. ansible-test makes
its environments below the home folder, so it gets a home of its own in the cache: they outlive the clone.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import urllib.request

from interpreters import find_interpreters
from process import BUILD, LOGS, TOOLS, USER_CACHE, Outcome, clean_environment, collection_copy, run_logged

HOME = USER_CACHE / "ansible-test"

GET_PIP_URL = "https://ci-files.testing.ansible.com/ansible-test/get-pip-{version}.py"
GET_PIP_STAND_IN = """\
# Stands in for get-pip.py where that is out of reach: ensurepip brings a pip, that installs what ansible-test asks for.
import subprocess
import sys

packages = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "ensurepip"])
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"] + packages)
"""


def run_sanity() -> Outcome:
    """Run every sanity test; one result for each test and Python version."""
    log = LOGS / "sanity.log"
    log.unlink(missing_ok=True)
    copy = collection_copy(BUILD / "sanity")
    # Without a repository of its own, ansible-test asks the clone's, which ignores build/: it would test nothing.
    subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
    interpreters = find_interpreters()
    _prepare_home()
    folders = [str(TOOLS), *(str(interpreter.path.parent) for interpreter in interpreters), "/usr/bin", "/bin"]
    environment = clean_environment(HOME=str(HOME), PATH=os.pathsep.join(folders))
    status = run_logged(
        [TOOLS / "ansible-test", "sanity", "--color", "no"], log=log, folder=copy, environment=environment, timeout=1800
    )
    return _outcome(log.read_text(encoding="utf-8"), status)


def _outcome(output: str, status: int) -> Outcome:
    """Count the tests that ran and those in the list at the end of a failed run."""
    ran = len(re.findall(r"^Running sanity test ", output, re.MULTILINE))
    failed = re.search(r"^FATAL: The (\d+) sanity test\(s\) listed below \(out of \d+\) failed", output, re.MULTILINE)
    if status == 0:
        return Outcome(ran, 0) if ran else Outcome(0, 1, "no sanity test ran")
    for line in output.splitlines():
        if line.startswith(("ERROR: ", "FATAL: ")):
            print(f"    {line}")
    number = int(failed.group(1)) if failed else 1
    return Outcome(max(ran - number, 0), number)


def _prepare_home() -> None:
    """Give ansible-test a home: pip's settings of the user, and a get-pip where the real one is out of reach."""
    settings = HOME / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(_pip_settings(), encoding="utf-8")
    version = _pip_version_of_ansible_test()
    script = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    script.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(GET_PIP_URL.format(version=version), timeout=15) as answer:
            content = answer.read().decode()
    except OSError:
        print("    (get-pip.py is out of reach: a stand-in that uses ensurepip takes its place)")
        content = GET_PIP_STAND_IN
    script.write_text(content, encoding="utf-8")


def _pip_settings() -> str:
    """Return pip's settings as a pip.conf, with those of the environment: ansible-test passes none of them on."""
    command = [str(TOOLS / "python"), "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    settings = {}
    for name, value in (line.split("=", 1) for line in listing.splitlines() if "=" in line):
        section, option = name.split(".", 1)
        if section in ("global", "install", ":env:"):
            settings[option] = ast.literal_eval(value).replace("\n", "\n    ")
    return "[global]\n" + "".join(f"{option} = {value}\n" for option, value in sorted(settings.items()))


def _pip_version_of_ansible_test() -> str:
    """Read from ansible-test's source which pip it wants: the name of the script depends on it."""
    packages = next(TOOLS.parent.glob("lib/python3.*/site-packages"))
    source = packages / "ansible_test" / "_internal" / "python_requirements.py"
    match = re.search(r"pip='([0-9.]+)'", source.read_text(encoding="utf-8"))
    assert match, f"{source}: no pip version found"
    return match.group(1)
