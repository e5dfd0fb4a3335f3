"""The review's server: nobody else may ask it for anything, and no answer that it confirmed is ever lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_by_rules import match
from review_run import ROOT, Review, make, people, reviewing, write
from starlette.testclient import TestClient

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.matching import answers, run_folder
from crm_dedup_plugin.review import server, start
from crm_dedup_plugin.review.board import Board
from crm_dedup_plugin.review.session import CHANGES, QUESTIONS, Session

# Runs the command where no file may grow beyond BYTES: a full disk.
FULL = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); sys.argv.pop(1); "
FULL += "from crm_dedup_plugin.cli import main; sys.exit(main(sys.argv[1:]))"
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = {
    *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:"),
    *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A run that is never written to: copy it."""
    return make(tmp_path_factory.mktemp("finished"), people(8))


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "runs" / "contacts"))


@pytest.fixture(scope="module")
def shown(finished, tmp_path_factory):
    """A review that many tests ask, and that no test changes."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("shown") / "contacts")
    with reviewing(run) as found:
        yield found
    assert not (run / answers.FILE).exists()
    assert found.process.returncode == 0


def origin(review: Review) -> str:
    return f"http://{urlsplit(review.address).netloc}"


def said(review: Review) -> bytes:
    """Return an answer to the next pair as a browser would send it."""
    pair = review.ask("next")["pair"]
    return json.dumps({"a": pair["a"], "b": pair["b"], "answer": "same", "drawn": "chosen"}).encode()


def given_answers(run: Path) -> list[str]:
    return [entry["answer"] for entry in answers.entries(run)]


@pytest.mark.parametrize("path", ["", "static/main.js", "static/style.css", "ask/next", "ask/none", "none", "/none", "static/none.js"])
def test_every_answer_is_safe_to_show(shown, path):
    _, headers, _ = shown.request("GET", path)
    assert SAFE.items() <= headers.items()
    assert {one.strip() for one in headers["content-security-policy"].split(";")} == POLICY
    assert "access-control-allow-origin" not in headers and "server" not in headers


def test_the_page_asks_for_nothing_from_elsewhere(shown):
    _, headers, page = shown.request("GET")
    assert headers["content-type"].startswith("text/html")
    for name in ("main.js", "style.css"):
        status, _, text = shown.request("GET", f"static/{name}")
        assert status == 200 and f"static/{name}".encode() in page and b"://" not in text.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"://" not in page and b"innerHTML" not in b"".join(shown.request("GET", f"static/{name}")[2] for name in server.SCRIPTS)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "[::1]:{port}", "", None])
def test_no_other_name_leads_to_the_page(shown, host):
    port = urlsplit(shown.address).port
    status, _, body = shown.request("GET", headers={"Host": host and host.format(port=port)})
    assert status in (400, 403) and b"Review" not in body


def test_both_names_of_this_machine_do(shown):
    assert shown.request("GET", headers={"Host": f"localhost:{urlsplit(shown.address).port}"})[0] == 200


@pytest.mark.parametrize("wrong", ["", "{0}x", "x{0}", "%00", "{0:.10}", "{0}%2f"])
def test_without_the_token_there_is_nothing(shown, wrong):
    token = urlsplit(shown.address).path.strip("/")
    for path in ("", "static/main.js", "ask/next"):
        status, _, body = shown.request("GET", f"/{wrong.format(token)}/{path}")
        assert status == 404 and token.encode() not in body
    assert shown.request("GET", f"/{token}")[0] == 404


def test_only_this_machine_can_ask(shown):
    with socket.socket() as other, pytest.raises(OSError):
        other.connect(("127.0.0.2", urlsplit(shown.address).port))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(shown, method):
    assert shown.request(method, "tell/answer")[0] in (400, 405)
    assert shown.request(method)[0] in (400, 405)


def test_asking_changes_nothing_and_telling_shows_nothing(shown):
    assert shown.request("GET", "tell/undo")[0] == 405
    headers = {"Content-Type": "application/json", "Origin": origin(shown)}
    assert shown.request("POST", "ask/next", b"{}", headers)[0] == 405
    assert shown.request("POST", "tell/none", b"{}", headers)[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": None}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
    ids=str,
)
def test_only_the_page_itself_changes_anything(shown, headers, status):
    body = said(shown)
    sent = {"Origin": origin(shown), "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", **headers}
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if "Transfer-Encoding" in headers else body
    assert shown.request("POST", "tell/answer", chunked, sent)[0] == status


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 60_000, b'{"a": 1}'], ids=lambda body: str(body[:10]))
def test_what_is_no_request_is_an_error_in_words(shown, body):
    status, _, text = shown.request("POST", "tell/answer", body, {"Origin": origin(shown), "Content-Type": "application/json"})
    assert status == 400 and json.loads(text)["error"]


def test_a_request_has_a_largest_size(shown):
    body = json.dumps({"note": "x" * 100_000}).encode()
    assert shown.request("POST", "tell/answer", body, {"Origin": origin(shown), "Content-Type": "application/json"})[0] == 413


@pytest.mark.parametrize(
    "path",
    [
        *("static/../server.py", "static/..%2fserver.py", "static/%2e%2e/server.py", "static//etc/passwd", "static/%2fetc%2fpasswd"),
        *("static/page.html", "static/review.css", "static/main.js%00", "static/", "static/.", "../", "ask/", "ask/__class__"),
    ],
)
def test_files_are_a_fixed_list(shown, path):
    assert shown.request("GET", path)[0] == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["same", "skip", "Email", "chosen"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("a b row rows others field answer note".split()), inner, max_size=6),
    max_leaves=12,
)
KEYS = st.sampled_from("a b row rows others field answer note drawn blind".split())


@pytest.fixture(scope="module")
def client(finished, tmp_path_factory) -> TestClient:
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("asked") / "contacts"))
    session = Session(lambda: Board(run), [run_folder.folder(run, "plan") / run_folder.REPORT])
    app = server.application(session, "contacts", "token", 8765)
    return TestClient(app, base_url="http://127.0.0.1:8765/token/", headers={"Origin": "http://127.0.0.1:8765"})


@given(what=st.sampled_from(sorted(CHANGES)), body=st.dictionaries(KEYS, JSON | st.integers(0, 30), max_size=8))
def test_whatever_is_told_the_answer_is_in_words(client, what, body):
    found = client.post(f"tell/{what}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert found.status_code == 200 or (found.status_code == 400 and found.json()["error"])


ASKED = st.sampled_from("a b row filter search offset limit".split())


@given(
    what=st.sampled_from(sorted(QUESTIONS)),
    words=st.dictionaries(ASKED, st.text(max_size=12), max_size=7),
)
def test_whatever_is_asked_the_answer_is_in_words(client, what, words):
    found = client.get(f"ask/{what}", params=words)
    assert found.status_code == 200 or (found.status_code == 400 and found.json()["error"])


def test_an_answer_outlives_a_killed_server(run):
    with reviewing(run) as review:
        pair = review.ask("next")["pair"]
        status, _ = review.tell("answer", {"a": pair["a"], "b": pair["b"], "answer": "different", "note": "she moved", "drawn": "stratified"})
        review.process.send_signal(signal.SIGKILL)
        review.process.wait()
    assert status == 200 and given_answers(run) == ["different"]
    with reviewing(run, port=str(urlsplit(review.address).port)) as again:
        assert again.address == review.address, "pages that are still open go on"
        found = again.ask(f"pair?a={pair['a']}&b={pair['b']}")["pair"]["answer"]
        assert (found["answer"], found["note"]) == ("different", "she moved")


def test_undo_and_redo_reach_back_over_a_restart(run):
    with reviewing(run) as review:
        for answer in ("same", "different", "unsure"):
            pair = review.ask("next")["pair"]
            review.tell("answer", {"a": pair["a"], "b": pair["b"], "answer": answer})
    with reviewing(run) as review:
        for _ in range(3):
            assert review.tell("undo", {})[1]["change"]
        assert review.tell("undo", {})[1]["change"] is None and given_answers(run) == []
        review.tell("redo", {})
        review.tell("redo", {})
    assert given_answers(run) == ["same", "different"]


def test_a_second_server_names_the_first(run, capsys):
    with reviewing(run) as review:
        assert main(["review", str(run)]) == 1
        assert review.address in capsys.readouterr().err
        assert review.request("GET")[0] == 200
    with reviewing(run):
        pass


def test_ctrl_c_ends_quietly(run):
    with reviewing(run) as review:
        review.ask("next")
        review.process.send_signal(signal.SIGINT)
        out, err = review.process.communicate(timeout=20)
    assert (review.process.returncode, out, err) == (0, "", "")


def test_a_full_disk_keeps_what_is_there_and_says_so(run):
    with reviewing(run, code=("-c", FULL, "1500")) as review:
        kept, status = 0, 200
        while status == 200 and kept < 20:
            pair = review.ask("next")["pair"]
            status, found = review.tell("answer", {"a": pair["a"], "b": pair["b"], "answer": "same", "note": "n" * 100})
            kept += status == 200
        assert 0 < kept < 20 and status == 400 and "not saved" in found["error"]
        assert review.ask(f"pair?a={pair['a']}&b={pair['b']}")["pair"]["answer"] is None, "what is not on the disk is not shown as answered"
    assert given_answers(run) == ["same"] * kept


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_a_folder_without_permission_gives_a_message(run):
    run.chmod(0o555)
    less = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run([*less, sys.executable, "-m", "crm_dedup_plugin", "review", str(run)], capture_output=True, text=True, cwd=ROOT)
    run.chmod(0o755)
    assert done.returncode == 1 and "cannot be written to" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_run_that_is_not_there_names_those_that_are(run, monkeypatch, capsys):
    monkeypatch.chdir(run.parents[1])
    (run.parent / "leads").mkdir()
    assert main(["review", "contcats"]) == 1
    assert "contcats" in (message := capsys.readouterr().err) and "contacts, leads" in message
    assert main(["review", "leads"]) == 1
    assert "no finished stage 'read'" in capsys.readouterr().err
    assert main(["review", "contacts.csv"]) == 1
    assert "`crm-dedup review contacts`" in capsys.readouterr().err


def test_an_export_that_has_changed_is_told_and_the_review_goes_on(tmp_path):
    run = make(tmp_path, people(3))
    assert list(start.changed(run)) == []
    write(tmp_path / "contacts.csv", people(2))
    with reviewing(run) as review:
        assert review.ask("next")["pair"]
        review.process.send_signal(signal.SIGINT)
        assert "contacts.csv has changed since this run" in review.process.stderr.read()


def test_a_taken_port_is_an_error_and_the_next_is_found(run, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["review", str(run), "--port", str(port)]) == 1
        assert f"port {port}" in capsys.readouterr().err


def test_match_may_run_while_a_review_is_open(tmp_path):
    run = make(tmp_path, people(4))
    with reviewing(run) as review:
        pair = review.ask("next")["pair"]
        version = review.tell("answer", {"a": pair["a"], "b": pair["b"], "answer": "same"})[1]["version"]
        report = run_folder.folder(run, "plan") / run_folder.REPORT
        report.rename(report.with_suffix(".away"))
        status, _, body = review.request("GET", "ask/next")
        assert status == 503 and b"crm-dedup match" in body
        report.with_suffix(".away").rename(report)
        found, _ = match(run, tmp_path / "contacts.csv")
        assert found["group"]["answers"]["yes"] == 1
        assert review.ask("version")["version"] == version or review.ask("next")["version"] != version
        assert review.ask(f"pair?a={pair['a']}&b={pair['b']}")["pair"]["together"]

        rows = people(4)
        rows[pair["a"]] = (*rows[pair["a"]][:6], "Hamburg", rows[pair["a"]][7])
        write(tmp_path / "contacts.csv", rows)
        match(run, tmp_path / "contacts.csv")
        again = review.ask(f"pair?a={pair['a']}&b={pair['b']}")["pair"]
        assert (again["answer"], again["changed"]) == (None, True), "a record that has changed is to be answered again"


def test_no_value_of_a_record_is_logged(run, monkeypatch, capfd):
    with reviewing(run) as review:
        pair = review.ask("next")["pair"]
        review.request("GET", f"ask/pair?a={pair['a']}&b=999999&search=Archer")
        review.tell("value", {"row": pair["a"], "field": "Archer"})
        review.process.send_signal(signal.SIGINT)
        assert review.process.communicate(timeout=20) == ("", "")


def test_the_note_with_the_address_is_the_owners_alone(run):
    with reviewing(run):
        assert (run / start.NOTED).stat().st_mode & 0o777 == 0o600
