"""Containers, the chart and packages: they parse, and every setting, option, path and file that they name exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from infraspectre import config
from infraspectre.cli import NAME, ROOT
from infraspectre.cli.grammar import find
from infraspectre.cli.help import page
from infraspectre.settings import Settings

TOP = Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
COMPOSE = DEPLOY / "compose"
CHART = DEPLOY / "helm" / "infraspectre"
HELM = shutil.which("helm")
WHEEL = os.environ.get("INFRASPECTRE_TEST_WHEEL", "")
"""A built wheel; with the folder of all that it needs beside, packages are built and installed."""
WHEELHOUSE = os.environ.get("INFRASPECTRE_TEST_WHEELHOUSE", "")
HEALTH = {"/health/live", "/health/ready", "/health/startup"}
RIGHTS = {"NET_RAW", "SETGID", "SETPCAP", "SETUID"}
"""What a sensor needs that opens an interface and then becomes another user."""


@cache
def composed(name: str = "compose.yaml") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((COMPOSE / name).read_text())
    return document


def checked_settings(given: dict[str, Any]) -> Settings:
    return msgspec.convert(given, Settings)


def check_variables(environment: dict[str, str]) -> None:
    """Hold variables against the settings: an unknown one or an impossible value raises."""
    config.load(Settings, environment={k: v for k, v in environment.items() if k != config.FILE_VARIABLE})


def check_command(words: list[str]) -> None:
    """Hold a command line against the command: it exists, and so do its options."""
    path, command, rest = find(NAME, ROOT, [word for word in words if word])
    told = page(path, command)
    for word in rest:
        if word.startswith("--"):
            assert re.search(rf"{re.escape(word.partition('=')[0])}\b", told), word


# --- the image


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def ignored(path: str) -> bool:
    """Tell whether .dockerignore leaves out a file or folder at the top."""
    return f"!{path}" not in (TOP / ".dockerignore").read_text().splitlines()


def test_the_image_is_made_of_files_that_are_there_and_sent() -> None:
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                top = source.strip("/").split("/")[0]
                assert (TOP / source).exists(), source
                assert not ignored(top), source


def test_stages_that_are_copied_from_are_there() -> None:
    stages = [re.search(r"AS (\S+)", rest) for word, rest in instructions() if word == "FROM"]
    names = {found[1] for found in stages if found}
    assert {found[1] for _, rest in instructions() if (found := re.search(r"--from=(\S+)", rest))} <= names


def test_the_image_runs_as_a_user_without_rights_and_says_how_it_is() -> None:
    words = dict(instructions())  # of each kind the last one
    assert words["USER"].split(":")[0].isdigit()
    assert words["USER"] != "0"
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert any(path in words["HEALTHCHECK"] for path in HEALTH)
    check_command(json.loads(words["CMD"]))
    variables = dict(pair.split("=", 1) for pair in shlex.split(words["ENV"]))
    check_variables({name: value for name, value in variables.items() if name.startswith(config.ENVIRONMENT_PREFIX)})
    assert Path(variables["INFRASPECTRE_DATA__FOLDER"]).is_relative_to(words["VOLUME"])
    assert all(word != "ADD" and "sudo" not in rest and "curl" not in rest for word, rest in instructions())
    assert all(":latest" not in rest for _, rest in instructions())


def test_ports_are_those_of_the_settings() -> None:
    exposed = {int(port) for word, rest in instructions() if word == "EXPOSE" for port in rest.split()}
    assert exposed == {Settings().server.port, Settings().sensors.port}


# --- compose


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from composed()["services"].items()


def test_compose_names_only_what_is_there() -> None:
    document = composed()
    extra = composed("compose.postgres.yaml")["services"]["server"]
    for name, service in services():
        assert set(service.get("secrets", [])) <= set(document["secrets"]), name
        assert set(service.get("networks", [])) <= set(document["networks"]), name
        assert {each["source"] for each in service.get("configs", [])} <= set(document["configs"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (COMPOSE / source).exists() if source.startswith(".") else source in document["volumes"]
            assert known, f"{name}: {volume}"
    assert set(extra["secrets"]) <= set(document["secrets"])
    assert set(extra["depends_on"]) <= set(document["services"])
    assert all((COMPOSE / each["file"]).exists() for each in document["configs"].values())
    build = document["services"]["server"]["build"]
    assert (COMPOSE / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "container" / "Containerfile"


def test_services_have_no_rights_but_those_that_they_need() -> None:
    for name, service in services():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "postgres"
        assert "privileged" not in service
        assert not str(service.get("image", "")).endswith(":latest") or "INFRASPECTRE_IMAGE" in service["image"]
    rights = {name: set(service.get("cap_add", [])) for name, service in services()}
    assert rights["server"] == set()
    assert rights["sensor"] == RIGHTS
    assert all(port.startswith("127.0.0.1:") for name in ("grafana",) for port in composed()["services"][name]["ports"])


def test_secrets_stand_in_files_alone() -> None:
    assert all(set(each) == {"file"} and each["file"].startswith("secrets/") for each in composed()["secrets"].values())
    assert "/deploy/compose/secrets/" in (TOP / ".gitignore").read_text().splitlines()
    for _, service in services():
        for name, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|SECRET|TOKEN", name)
            assert not secret or value.startswith("/run/secrets/"), name


def test_settings_and_commands_in_compose_are_known() -> None:
    found = config.load(Settings, COMPOSE / "infraspectre.yaml", environment={})
    secrets = {f"/run/secrets/{name}" for name in composed()["services"]["server"]["secrets"]}
    sensors = found.sensors
    assert {sensors.certificate_file, sensors.key_file, sensors.authority_file} == secrets
    for part in (composed(), composed("compose.postgres.yaml")):
        check_variables(part["services"]["server"]["environment"])
    command = composed()["services"]["sensor"]["command"]
    check_command([re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", word) for word in command])
    given = {word.partition("/run/secrets/")[2] for word in command if "/run/secrets/" in word}
    assert given == set(composed()["services"]["sensor"]["secrets"])


def test_prometheus_in_compose_reads_the_rules_that_are_there() -> None:
    own = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text())
    usual = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    mounted = {Path(each.split(":")[0]).name for each in composed()["services"]["prometheus"]["volumes"]}
    assert own["rule_files"] == usual["rule_files"]
    assert set(own["rule_files"]) <= mounted
    assert own["scrape_configs"][0]["static_configs"][0]["targets"] == [f"server:{Settings().server.port}"]
    assert own["scrape_configs"][0]["authorization"]["credentials_file"] == "/run/secrets/metrics_key"


def test_the_collector_uses_what_it_defines() -> None:
    document = yaml.safe_load((COMPOSE / "collector.yaml").read_text())
    for pipeline in document["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(document[kind])


# --- the chart


def templates() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((CHART / "templates").iterdir())}


def test_values_fit_their_schema_and_are_all_used() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    check_against(schema, values, "values")
    used = "".join(templates().values())
    for path in leaves(values):
        parts = path.split(".")
        assert any(f".Values.{'.'.join(parts[:length])}" in used for length in range(len(parts), 0, -1)), path
    for path in re.findall(r"\.Values\.([A-Za-z.]+)", used):
        assert reach(values, path.rstrip(".")) is not None, path


def check_against(schema: dict[str, Any], value: Any, path: str) -> None:
    """Hold a value and its schema against one another: each key of an object is known to both."""
    if "properties" not in schema:
        return
    assert set(value) == set(schema["properties"]) - {"global"}, path
    assert schema["additionalProperties"] is False, path
    for name, each in value.items():
        check_against(schema["properties"][name], each, f"{path}.{name}")


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}".lstrip("."))
    else:
        yield path


def reach(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


def test_the_chart_has_the_rules_and_boards_of_this_repository() -> None:
    files = CHART / "files"
    assert (files / "alerts.yaml").resolve() == DEPLOY / "prometheus" / "alerts.yaml"
    assert (files / "recording.yaml").resolve() == DEPLOY / "prometheus" / "recording.yaml"
    assert (files / "boards").resolve() == DEPLOY / "grafana" / "boards"
    for name in re.findall(r"files/([a-z%.]+)\.yaml", templates()["monitoring.yaml"]):
        assert name == "%s"


def test_probes_ask_what_answers() -> None:
    text = templates()["statefulset.yaml"]
    assert set(re.findall(r"path: (/health/[a-z]+)", text)) == HEALTH


def test_pods_have_no_rights_but_those_that_they_need() -> None:
    found = templates()
    strict = found["_helpers.tpl"].partition('define "infraspectre.strict"')[2]
    for line in (
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "runAsNonRoot: true",
        "drop: [ALL]",
    ):
        assert line in strict
    assert "add:" not in found["statefulset.yaml"]
    assert set(re.findall(r"add: \[([A-Z_, ]+)\]", found["sensor.yaml"])[0].split(", ")) == RIGHTS
    assert all("automountServiceAccountToken: false" in found[name] for name in ("statefulset.yaml", "sensor.yaml"))
    check_command(
        [re.sub(r"\{\{.*?\}\}", "1", word) for word in re.findall(r"^ +- (sensor|--.+)$", found["sensor.yaml"], re.M)]
    )


EVERYTHING = {
    "settings": {"detection": {"patience_s": 2.0}, "server": {"stop_s": 30.0}},
    "tls": {"secretName": "api"},
    "sensors": {"enabled": True, "secretName": "sensors"},
    "postgres": {"secretName": "database"},
    "ingress": {"enabled": True, "host": "infra.example", "className": "nginx", "tlsSecretName": "web"},
    "serviceMonitor": {"enabled": True, "secretName": "metrics"},
    "prometheusRule": {"enabled": True},
    "boards": {"enabled": True},
    "networkPolicy": {"from": [{"podSelector": {}}], "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
    "sensor": {"enabled": True, "secretName": "nodes", "nodeSelector": {"tap": "yes"}},
    "persistence": {"storageClass": "fast"},
}
FLAWED = [
    {"unknown": 1},
    {"sensors": {"enabled": True}},
    {"sensor": {"enabled": True}},
    {"serviceMonitor": {"enabled": True}},
    {"ingress": {"enabled": True}},
    {"persistence": {"size": "much"}},
    {"sensor": {"interface": "eth0; reboot"}},
]


def helm(*words: str, values: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    assert HELM
    path = folder / "values.json"
    path.write_text(json.dumps(values))
    command = [HELM, *words, str(CHART), "--values", str(path), "--kube-version", "1.31.0"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(HELM is None, reason="helm is not installed")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["usual", "everything"])
def test_the_chart_renders(tmp_path: Path, values: dict[str, Any]) -> None:
    linted = helm("lint", "--strict", values=values, folder=tmp_path)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    done = helm("template", "infra", values=values, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found: dict[tuple[str, str], dict[str, Any]] = {
        (each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout) if each
    }
    settings = yaml.safe_load(found["ConfigMap", "infra-infraspectre"]["data"]["infraspectre.yaml"])
    chosen = checked_settings(settings)
    check_pod(found["StatefulSet", "infra-infraspectre"], found)
    if not values:
        assert {kind for kind, _ in found} == {
            "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet",
        }  # fmt: skip
        assert chosen.server.allow_plaintext
        return
    assert chosen.detection.patience_s == 2.0
    assert chosen.server.stop_s == 30.0
    assert chosen.server.certificate_file.endswith("/tls.crt")
    assert not chosen.server.allow_plaintext
    check_pod(found["DaemonSet", "infra-infraspectre-sensor"], found)
    alerts = found["PrometheusRule", "infra-infraspectre-alerts"]["spec"]["groups"]
    assert alerts == yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    boards = found["ConfigMap", "infra-infraspectre-boards"]["data"]
    assert {name: json.loads(text)["uid"] for name, text in boards.items()} == {
        path.name: json.loads(path.read_text())["uid"] for path in (DEPLOY / "grafana" / "boards").glob("*.json")
    }


def check_pod(owner: dict[str, Any], found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Hold what containers mount against the volumes, and what they run against the commands."""
    pod = owner["spec"]["template"]["spec"]
    claims = {each["metadata"]["name"] for each in owner["spec"].get("volumeClaimTemplates", [])}
    names = {each["name"] for each in pod["volumes"]} | claims
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert {each["name"] for each in container["volumeMounts"]} <= names
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
        if "args" in container:
            check_command(container["args"])
        check_variables({each["name"]: each.get("value", "") for each in container.get("env", []) if "value" in each})
    labels = owner["spec"]["template"]["metadata"]["labels"]
    assert owner["spec"]["selector"]["matchLabels"].items() <= labels.items()
    services = [each for (kind, _), each in found.items() if kind == "Service"]
    if owner["kind"] == "StatefulSet":
        assert all(each["spec"]["selector"].items() <= labels.items() for each in services)
        ports = {port["name"] for port in pod["containers"][0]["ports"]}
        assert {port["targetPort"] for each in services for port in each["spec"]["ports"]} == ports


@pytest.mark.skipif(HELM is None, reason="helm is not installed")
@pytest.mark.parametrize("values", FLAWED, ids=lambda values: next(iter(values)))
def test_values_that_cannot_be_are_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    done = helm("template", "infra", values=values, folder=tmp_path)
    assert done.returncode != 0
    assert "schema" in done.stderr


# --- packages


def test_scripts_of_the_package_are_sound() -> None:
    for name in ("build", "postinst", "prerm"):
        path = DEPLOY / "debian" / name
        assert os.access(path, os.X_OK)
        subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)
    units = {path.name for path in (DEPLOY / "systemd").glob("*.service")}
    named = set(
        re.findall(
            r"[a-z-]+\.service", "".join((DEPLOY / "debian" / each).read_text() for each in ("postinst", "prerm"))
        )
    )
    assert named == units
    users = {line.split()[1] for line in (DEPLOY / "debian" / "infraspectre.sysusers").read_text().splitlines()}
    for unit in units:
        text = (DEPLOY / "systemd" / unit).read_text()
        assert set(re.findall(r"^User=(\S+)$", text, re.MULTILINE)) == users


@pytest.mark.skipif(not WHEEL, reason="INFRASPECTRE_TEST_WHEEL is not set")
def test_the_wheel_holds_console_types_and_models_and_nothing_of_tests() -> None:
    import zipfile

    with zipfile.ZipFile(WHEEL) as archive:
        names = set(archive.namelist())
    for wanted in ("py.typed", "_core.pyi", "api/static/index.html", "_core.abi3.so"):
        assert f"infraspectre/{wanted}" in names
    source = TOP / "src" / "infraspectre"
    kept = {
        str(path.relative_to(TOP / "src"))
        for path in source.rglob("*")
        if path.suffix in (".py", ".yaml", ".html", ".json")
    }
    assert {name for name in kept if "/api/static/" not in name} <= names
    assert {name.split("/")[0] for name in names} <= {
        "infraspectre",
        *(name.split("/")[0] for name in names if ".dist-info" in name),
    }


INSTALLED = """
set -eu
mkdir -p {work}/up {work}/tmp {work}/tree
mount -t tmpfs tmpfs {work}/up
mkdir {work}/up/upper {work}/up/work
mount -t overlay overlay -o lowerdir=/,upperdir={work}/up/upper,workdir={work}/up/work {work}/tree
cp {package} {work}/tree/package.deb
chroot {work}/tree /bin/sh -euc '
  unset PYTHONPATH
  mount -t proc proc /proc
  dpkg --install --force-depends /package.deb
  id infraspectre
  test -f /etc/infraspectre/infraspectre.yaml
  cd /
  /usr/bin/infraspectre version
  /usr/bin/infraspectre config check /etc/infraspectre/infraspectre.yaml
  /opt/infraspectre/bin/python -c "import infraspectre; print(infraspectre.__file__)"
  dpkg --remove infraspectre
  test ! -e /usr/bin/infraspectre
'
"""


@pytest.mark.skipif(not (WHEEL and WHEELHOUSE), reason="INFRASPECTRE_TEST_WHEEL and _WHEELHOUSE are not set")
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dpkg-deb"), reason="takes root and dpkg")
def test_the_debian_package_installs_runs_and_goes(tmp_path: Path) -> None:
    package = tmp_path / "infraspectre.deb"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    build = [str(DEPLOY / "debian" / "build"), WHEEL, str(package), WHEELHOUSE]
    subprocess.run(build, check=True, timeout=600, env=environment)
    script = INSTALLED.format(work=tmp_path, package=package)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/opt/infraspectre/lib/" in done.stdout
