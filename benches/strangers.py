"""Readers that others wrote, of the formats that we write: each takes many lines and returns the fields of each.

Those that are not installed here raise UnavailableError; which they are stands in docs/guides/integrations.md.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benches.report import UnavailableError

ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
ESCAPES = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
LIMIT_S = 200
Fields = dict[str, str]


def read_shown(text: str) -> str:
    """Return the value that stands in a line, as docs/guides/integrations.md says how to read it back."""
    if not ESCAPE.search(text):
        return text
    return ESCAPES.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), text)


def tool(name: str) -> str:
    """Return the path of a program; raises UnavailableError."""
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(f"{name} is not installed")
    return found


def module(name: str) -> Any:
    """Return a module; raises UnavailableError."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UnavailableError(f"the Python package of {name} is not installed") from error


def ran(command: Sequence[str], text: bytes) -> bytes:
    """Return what a program makes of its input."""
    return subprocess.run(command, input=text, capture_output=True, check=True, timeout=LIMIT_S).stdout


CEF_RULE = "version=2\nrule=:%cef:cef%\n"
LEEF_RULE = (
    "version=2\nrule=:LEEF:2.0|%vendor:char-to:|%|%product:char-to:|%|%version:char-to:|%|%kind:char-to:|%|x09|"
    '%pairs:repeat{"parser":[{"type":"char-to","name":"key","extradata":"="},{"type":"literal","text":"="},'
    '{"type":"char-sep","name":"value","extradata":"\\t"}],"while":{"type":"literal","text":"\\t"}}%\n'
)


def normalized(rule: str, lines: Sequence[str]) -> list[Any]:
    """Return lines as liblognorm reads them."""
    program = tool("lognormalizer")
    with tempfile.NamedTemporaryFile("w", suffix=".rb") as rules:
        rules.write(rule)
        rules.flush()
        told = ran([program, "-r", rules.name, "-e", "json"], "".join([f"{each}\n" for each in lines]).encode())
    return [json.loads(each) for each in told.split(b"\n") if each]


def cef_by_liblognorm(lines: Sequence[str]) -> list[Fields]:
    """Read CEF with rsyslog's parser; it loses the first sign of the first field where no space stands before it."""
    read = [each["cef"] for each in normalized(CEF_RULE, [spaced(line) for line in lines])]
    return [each["Extensions"] | {"head.kind": each["SignatureID"], "head.name": each["Name"]} for each in read]


def spaced(line: str) -> str:
    """Return a line of CEF with a space before its first field, as liblognorm 2.0.6 wants it."""
    at = re.match(r"(?:(?:[^\\|]|\\.)*\|){7}", line)
    assert at
    return f"{line[: at.end()]} {line[at.end() :]}"


LABELS = {"tenant": "cs1", "subject": "cs2", "techniques": "cs3", "rule": "cs4", "entities": "cs5", "risk": "cfp1"}
CEF_SIGNS = re.compile(r"\\([\\=|])")


def cef_by_pycef(lines: Sequence[str]) -> list[Fields]:
    """Read CEF with pycef, which leaves escapes to its caller, knows none in headers, and names fields by labels."""
    parse = module("pycef").parse
    found = []
    for line in lines:
        plain = "CEF:0|a|b|c|d|e|5|" + spaced(line).partition("| externalId=")[2].join(("externalId=", ""))
        read = parse(plain)
        found.append({LABELS.get(key, key): CEF_SIGNS.sub(r"\1", value) for key, value in read.items()})
    return found


def leef_by_liblognorm(lines: Sequence[str]) -> list[Fields]:
    """Read LEEF with rsyslog's parser."""
    read = normalized(LEEF_RULE, lines)
    return [
        {pair["key"]: pair.get("value", "") for pair in each["pairs"]} | {"head.kind": each["kind"]} for each in read
    ]


SYSLOG_NG_LEEF = r"""
parser read {
    csv-parser(columns("H.leef","H.vendor","H.product","H.version","H.kind","H.delimiter","EXT")
        delimiters("|") quote-pairs("") flags(greedy));
    kv-parser(prefix("F.") pair-separator("\t") template("${EXT}"));
};
"""
SYSLOG_NG = r"""
@version: 3.38
options { stats-freq(0); log-msg-size(4194304); keep-hostname(yes); };
source taken { stdin(flags(%(flags)s)); };
%(parser)s
destination told { file("%(out)s" template("$(format-json %(keys)s)\n")); };
log { source(taken); %(use)s destination(told); };
"""


def syslog_ng(lines: Iterable[bytes], flags: str, parser: str, keys: str) -> list[Any]:
    """Return lines as syslog-ng reads them, started for that on a pipe."""
    program = tool("syslog-ng")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        use = "parser(read);" if parser else ""
        made = SYSLOG_NG % {"flags": flags, "parser": parser, "keys": keys, "out": out, "use": use}
        (Path(folder) / "conf").write_text(made.lstrip())
        places = [f"--persist-file={folder}/p", f"--pidfile={folder}/i", f"--control={folder}/c", "--no-caps"]
        ran([program, "-F", "-f", f"{folder}/conf", *places], b"".join([each + b"\n" for each in lines]))
        return [json.loads(each) for each in out.read_bytes().split(b"\n") if each]


def leef_by_syslog_ng(lines: Sequence[str]) -> list[Fields]:
    """Read LEEF with syslog-ng's parsers of columns and of keys and values."""
    read = syslog_ng([each.encode() for each in lines], "no-parse", SYSLOG_NG_LEEF, "--key H.* --key F.*")
    return [each["F"] | {"head.kind": each["H"]["kind"]} for each in read]


def syslog_by_syslog_ng(entries: Sequence[bytes]) -> list[Fields]:
    """Read entries of RFC 5424 with syslog-ng."""
    read = syslog_ng(entries, "syslog-protocol", "", "--scope rfc5424 --key .SDATA.* --rekey .SDATA.* --shift 1")
    found = []
    for each in read:
        [data] = each["SDATA"].values()
        found.append({"id": data["id"], "tenant": data["tenant"], "message": each["MESSAGE"], "kind": each["MSGID"]})
    return found


RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="256k" net.enableDNS="off" parser.escapeControlCharacterTab="off")
module(load="imtcp")
module(load="mmpstrucdata")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{folder}/port" name="x")
action(type="mmpstrucdata")
template(name="told" type="list" option.jsonf="on") {{
    property(outname="message" name="msg" format="jsonf")
    property(outname="kind" name="msgid" format="jsonf")
    property(outname="data" name="$!" format="jsonf")
}}
action(type="omfile" file="{folder}/out" template="told" asyncWriting="off" flushOnTXEnd="on")
"""


@contextmanager
def rsyslogd() -> Iterator[tuple[int, Callable[[int], list[Fields]]]]:
    """Run rsyslogd on loopback; yields its port, and what waits for so many entries and returns them."""
    program = tool("rsyslogd")
    with tempfile.TemporaryDirectory() as folder:
        conf, port, out = (Path(folder) / name for name in ("conf", "port", "out"))
        conf.write_text(RSYSLOG.format(folder=folder))
        log = (Path(folder) / "log").open("wb")
        process = subprocess.Popen([program, "-n", "-f", conf, "-i", f"{folder}/pid"], stdout=log, stderr=log)
        try:
            until(lambda: port.exists() and port.read_text().strip() != "", process)

            def entries(count: int) -> list[Fields]:
                until(lambda: out.exists() and out.read_bytes().count(b"\n") >= count, process)
                return [entry_of(json.loads(each)) for each in out.read_bytes().split(b"\n") if each]

            yield int(port.read_text()), entries
        finally:
            process.terminate()
            process.wait(LIMIT_S)
            log.close()


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something that a process does; raises UnavailableError for one that ends before."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        if process.poll() is not None or time.monotonic() > end:
            raise UnavailableError("the program ended, or took too long")
        time.sleep(0.02)


def entry_of(read: dict[str, Any]) -> Fields:
    """Return the fields of an entry that rsyslogd wrote."""
    data = read["data"] if isinstance(read["data"], dict) else json.loads(read["data"])
    [values] = data["rfc5424-sd"].values()
    return {"message": read["message"].removeprefix("\ufeff"), "kind": read["kind"], **values}


PARAMETER_SIGNS = re.compile(r'\\(["\\\]])')


def syslog_by_python(entries: Sequence[bytes]) -> list[Fields]:
    """Read entries of RFC 5424 with syslog-rfc5424-parser, which leaves escapes to whoever calls it."""
    parse = module("syslog_rfc5424_parser").SyslogMessage.parse
    found = []
    for entry in entries:
        read = parse(entry.decode())
        [data] = read.sd.values()
        values = {key: PARAMETER_SIGNS.sub(r"\1", data[key]) for key in ("id", "tenant")}
        found.append(values | {"message": read.msg.removeprefix("\ufeff"), "kind": read.msgid})
    return found


def objects_by_jq(text: bytes) -> list[Any]:
    """Return the values of JSON within a text, as jq reads them one after another."""
    return [json.loads(each) for each in ran([tool("jq"), "-c", "."], text).split(b"\n") if each]


NODE = """
const lines = require("fs").readFileSync(0, "utf8").split("\\n").filter(each => each)
for (const line of lines) console.log(JSON.stringify(JSON.parse(line)))
"""


def objects_by_node(text: bytes) -> list[Any]:
    """Return the value of JSON on each line of a text, as JavaScript reads it."""
    return [json.loads(each) for each in ran([tool("node"), "-e", NODE], text).split(b"\n") if each]


def texts_by_jq(lines: Sequence[bytes]) -> list[list[str]]:
    """Return all texts within objects of JSON, as jq reads them."""
    return [texts(each) for each in objects_by_jq(b"\n".join(lines))]


def texts_by_node(lines: Sequence[bytes]) -> list[list[str]]:
    """Return all texts within objects of JSON, as JavaScript reads them."""
    return [texts(each) for each in objects_by_node(b"\n".join(lines))]


def rows_by_csv(text: bytes) -> list[list[str]]:
    """Read CSV with Python's own reader."""
    return [*csv.reader(io.StringIO(text.decode(), newline=""), strict=True)]


CSV_COLUMNS = 5


def rows_by_duckdb(text: bytes) -> list[list[str]]:
    """Read CSV of five columns with DuckDB, told how it is quoted and that all is text."""
    duckdb = module("duckdb")
    columns = ", ".join(f"'{number}': 'VARCHAR'" for number in range(CSV_COLUMNS))
    read = (
        f"select * from read_csv(?, auto_detect = false, header = false, columns = {{{columns}}}, delim = ',', "
        "quote = '\"', escape = '\"', comment = '', new_line = '\\r\\n', max_line_size = 16777216, parallel = false)"
    )
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text)
        file.flush()
        return [[each or "" for each in row] for row in duckdb.connect().execute(read, [file.name]).fetchall()]


def texts(value: Any) -> list[str]:
    """Return all texts within a value."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inside for text in texts(each)]


NODE_PACKAGES = Path(__file__).resolve().parents[1] / "tests" / "strangers"
"""Where `npm ci` installs the packages that readers in JavaScript need."""


def node(script: str, text: bytes, package: str) -> bytes:
    """Return what JavaScript that needs a package makes of its input."""
    if not (NODE_PACKAGES / "node_modules" / package).exists():
        raise UnavailableError(f"the package {package} of npm is not installed in {NODE_PACKAGES.name}")
    command = [tool("node"), "-e", script]
    return subprocess.run(
        command, input=text, capture_output=True, check=True, timeout=LIMIT_S, cwd=NODE_PACKAGES
    ).stdout


EVE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+-]\d+", re.ASCII)
EVE_TYPES = {
    "timestamp": str, "event_type": str, "src_ip": str, "dest_ip": str, "alert.signature": str, "alert.category": str,
    "alert.severity": int, "alert.metadata": dict, "infraspectre": dict,
}  # fmt: skip
"""What Suricata's own schema of EVE says of the fields that we write, and the one for what it has none for."""


def eve_flaws(objects: Sequence[Any]) -> list[str]:
    """Return where alerts of EVE have other fields or types than Suricata writes."""
    found = set()
    for one in objects:
        fields = {key: value for key, value in one.items() if key != "alert"}
        fields |= {f"alert.{key}": value for key, value in one["alert"].items()}
        found |= {name for name, value in fields.items() if type(value) is not EVE_TYPES.get(name)}
        found |= {"timestamp"} - {"timestamp" if EVE_TIME.fullmatch(one["timestamp"]) else ""}
        lists = one["alert"]["metadata"].values()
        found |= {"alert.metadata" for each in lists if not all(isinstance(text, str) for text in each)}
    return sorted(found)


ECS_FIELDS = """
const { EcsFlat } = require("@elastic/ecs")
const lines = require("fs").readFileSync(0, "utf8").split("\\n").filter(each => each)
const unknown = new Set()
const known = { keyword: "string", wildcard: "string", match_only_text: "string", constant_keyword: "string",
  ip: "string", date: "string", text: "string", long: "number", float: "number" }
const walk = (value, name) => {
  if (name === "infraspectre") return
  const field = EcsFlat[name]
  if (field) {
    const one = Array.isArray(value) ? value : [value]
    const allowed = (field.allowed_values || []).map(each => each.name)
    const wrong = one.some(each => typeof each !== known[field.type] || (allowed.length && !allowed.includes(each)))
    if (wrong || (field.normalize.includes("array") && !Array.isArray(value))) unknown.add(name + " wrong")
  } else if (value && typeof value === "object" && !Array.isArray(value))
    Object.keys(value).forEach(key => walk(value[key], name ? name + "." + key : key))
  else unknown.add(name)
}
for (const line of lines) walk(JSON.parse(line), "")
console.log(JSON.stringify([...unknown]))
"""


def ecs_flaws(lines: Sequence[bytes]) -> list[str]:
    """Return the fields that Elastic's own list does not know, or with other types or values."""
    found = json.loads(node(ECS_FIELDS, b"\n".join(lines), "@elastic/ecs"))
    return [str(each) for each in found]


def ocsf_flaws(objects: Sequence[Any], version: str) -> list[str]:
    """Return where detection findings break the schema of OCSF, or are none for the models of another author."""
    embedded = module("ocsf_json_schema.embedded").OcsfJsonSchemaEmbedded
    schema = embedded(module("ocsf_json_schema.loader").get_ocsf_schema(version=version))
    validator = module("jsonschema").Draft202012Validator(schema.get_class_schema("detection_finding"))
    return [f"{each.json_path}: {each.message[:200]}" for one in objects for each in validator.iter_errors(one)]


def ocsf_by_pydantic(objects: Sequence[Any]) -> list[Any]:
    """Read detection findings with py-ocsf-models."""
    model = module("py_ocsf_models.events.findings.detection_finding").DetectionFinding
    return [json.loads(model.model_validate(each).model_dump_json()) for each in objects]


def stix_by_stix2(lines: Sequence[str]) -> list[Any]:
    """Read bundles with OASIS's library, which takes nothing that STIX 2.1 does not know."""
    parse = module("stix2").parse
    return [json.loads(parse(each, allow_custom=False).serialize()) for each in lines]


def stix_flaws(lines: Sequence[str]) -> list[str]:
    """Return what OASIS's validator finds wrong with bundles."""
    validator = module("stix2validator")
    options = validator.ValidationOptions(version="2.1")
    reports = [validator.validate_string(each, options) for each in lines]
    return [str(each) for report in reports for each in report.errors or []]
