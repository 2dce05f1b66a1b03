"""Who may ask `kipu ui`, and what: each way in that a browser could be used for is closed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from kipu.cli.ui.app import STATIC
from kipu.cli.ui.guard import HEADERS, TICKET_SECONDS, Guard
from tests.cli.ui.served import WORKFLOW, Served

PATHS = ["", "static/js/main.js", "api/about", "api/changes", f"{WORKFLOW}/story", f"{WORKFLOW}/events"]


async def test_the_page_is_there_for_who_knows_the_secret(served: Served) -> None:
    reply = await served.ask("")
    assert reply.status == 200
    assert b"<title>Kipu</title>" in reply.body


async def test_it_listens_on_this_machine_s_own_address_alone(served: Served) -> None:
    assert [address[0] for address in served.runner.addresses] == ["127.0.0.1"]


async def statuses(served: Served, paths: Sequence[str], **asked: str) -> set[int]:
    return {(await served.ask(path, **asked)).status for path in paths}


@pytest.mark.parametrize("secret", ["", "guessed/", "%2e/"])
async def test_nothing_is_there_without_the_secret(served: Served, secret: str) -> None:
    assert await statuses(served, [f"/{secret}{path}" for path in PATHS]) == {404}


async def test_each_server_has_a_secret_of_its_own_that_nobody_guesses() -> None:
    assert Guard().secret != Guard().secret
    assert len(Guard().secret) >= 43  # 256 bits in base64


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"])
async def test_a_name_that_was_made_to_lead_here_is_refused(served: Served, host: str) -> None:
    assert await statuses(served, PATHS, Host=host.format(port=served.guard.port)) == {403}


async def test_localhost_is_this_server_too(served: Served) -> None:
    assert (await served.ask("api/about", Host=f"localhost:{served.guard.port}")).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", ""])
async def test_a_page_from_elsewhere_may_not_ask(served: Served, origin: str) -> None:
    assert await statuses(served, PATHS, Origin=origin) == {403}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
async def test_nor_may_one_whose_browser_says_where_it_is_from(served: Served, site: str) -> None:
    assert (await served.ask("api/about", Sec_Fetch_Site=site)).status == 403


async def test_the_page_itself_may_ask(served: Served) -> None:
    origin = f"http://127.0.0.1:{served.guard.port}"
    assert (await served.ask("api/about", Origin=origin, Sec_Fetch_Site="same-origin")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_answered(served: Served, method: str) -> None:
    assert await statuses(served, PATHS, method=method) == {405}


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("api/about", 200), ("static/nothing.js", 404), ("/", 404), (f"{WORKFLOW}/steps/x", 400)],
)
async def test_every_answer_forbids_to_embed_to_run_and_to_keep_it(served: Served, path: str, status: int) -> None:
    reply = await served.ask(path)
    assert reply.status == status
    assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    assert [name for name in reply.headers if name.startswith("Access-Control")] == []


async def test_a_refusal_forbids_it_too(served: Served) -> None:
    for reply in [await served.ask("", Host="evil.example"), await served.ask("", method="POST")]:
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
        assert served.guard.secret.encode() not in reply.body


async def test_no_file_is_served_but_those_of_the_page(served: Served) -> None:
    up = [
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static/..%2fapp.py",
        "static/%2fetc%2fpasswd",
        "static//etc/passwd",
    ]
    assert await statuses(served, [*up, "static/js", "static/", "static/vendor/SHA256SUMS"]) == {404}


# -- the ticket ----------------------------------------------------------------------------------------------


async def test_the_ticket_leads_to_the_page_once(served: Served) -> None:
    path = served.guard.ticket_url.partition(str(served.guard.port))[2]
    first = await served.ask(path)
    assert (first.status, first.headers["Location"]) == (302, f"/{served.guard.secret}/")
    second = await served.ask(path)
    assert second.status == 404
    assert served.guard.secret not in str(second)


@pytest.mark.parametrize("ticket", ["", "wrong"])
async def test_another_ticket_leads_nowhere_and_is_no_try(served: Served, ticket: str) -> None:
    path = served.guard.ticket_url.partition(str(served.guard.port))[2]
    assert (await served.ask(f"/open/{ticket}")).status == 404
    assert (await served.ask(path)).status == 302


async def test_a_ticket_ends_with_its_time(served: Served) -> None:
    path = served.guard.ticket_url.partition(str(served.guard.port))[2]
    late = served.guard.clock() + TICKET_SECONDS
    served.guard.clock = lambda: late
    assert (await served.ask(path)).status == 404


async def test_the_ticket_is_not_the_secret_and_no_way_round_the_host(served: Served) -> None:
    assert served.guard.secret not in served.guard.ticket_url
    path = served.guard.ticket_url.partition(str(served.guard.port))[2]
    assert (await served.ask(path, Host="evil.example")).status == 403


# -- the page's own files ------------------------------------------------------------------------------------


def test_the_page_needs_nothing_that_its_policy_forbids() -> None:
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", page) == []


def test_no_script_of_ours_makes_code_or_markup_out_of_text() -> None:
    ours = sorted((STATIC / "js").glob("*.js"))
    assert len(ours) > 10
    found = [
        (file.name, line.strip())
        for file in ours
        for line in file.read_text().splitlines()
        if re.search(r"\beval\(|new Function|insertAdjacentHTML|outerHTML|document\.write", line)
        or ("innerHTML" in line and "PATHS[phase]" not in line)  # the signs of phases, which stand in the file itself
    ]
    assert found == []
