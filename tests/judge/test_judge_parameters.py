"""What servers accept of a request differs: the judge sends what this one takes, and says what it said."""

import json

import pytest
from judge_servers import KEY, Answer, serving, verdict
from judge_worlds import pair

from rpo_bench.cli.judge_flags import JudgeFlags, JudgeLimit
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.errors import UserError
from rpo_bench.judge.backends.openai import OpenAIJudge
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.protocol import parameters_sent
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import open_store

LIMIT = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
TEMPERATURE = "Unsupported value: 'temperature' does not support 0 with this model."
LOGPROBS = "This model does not support logprobs."


def refusal(message, status=400, **more):
    return Answer(json.dumps({"error": {"message": message, **more}}).encode(), status)


def judged(tmp_path, refused, questions=3, **settings):
    """Judges by a server that refuses parameters: name → its sentence; the account, replies and requests."""
    asked = []

    def answer(*_):
        sent = asked[0].asked[-1]
        named = next((name for name in refused if name in sent), None)
        return verdict("A") if named is None else refusal(refused[named])

    with serving(answer) as server:
        asked.append(server)
        mode = settings.get("mode", "verdict")
        judge = OpenAIJudge("m", load_template(mode), base_url=server.url, concurrency=1, **settings)
        with open_store(tmp_path, judge.identity) as store:
            account = run_judge(judge, plan_of([pair(i, f"a{i}", "b") for i in range(questions)]), store)
            return account, parameters_sent(store.replies.values()), server.asked


@pytest.mark.parametrize(
    ("refused", "sent", "wasted"),
    [
        ({}, {"temperature": 0, "max_tokens": 256}, 0),
        ({"max_tokens": LIMIT}, {"temperature": 0, "max_completion_tokens": 256}, 1),
        ({"temperature": TEMPERATURE}, {"max_tokens": 256}, 1),
        ({"max_tokens": LIMIT, "temperature": TEMPERATURE}, {"max_completion_tokens": 256}, 2),
    ],
)
def test_a_refused_parameter_is_refused_once_per_run(tmp_path, refused, sent, wasted):
    account, told, requests = judged(tmp_path, refused)
    assert (account.made, account.scored, len(requests)) == (6, 6, 6 + wasted)
    assert told == (sent,)  # what was really sent is on record


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"limit": "none"}, {"temperature": 0}),
        ({"temperature": "none"}, {"max_tokens": 256}),
        (
            {"limit": "max_completion_tokens", "temperature": 0.5},
            {"temperature": 0.5, "max_completion_tokens": 256},
        ),
    ],
)
def test_what_is_asked_for_is_sent(tmp_path, settings, sent):
    _, told, _ = judged(tmp_path, {}, 1, **settings)
    assert told == (sent,)


@pytest.mark.parametrize("settings", [{"limit": "max_tokens"}, {"temperature": 0.0}])
def test_what_is_asked_for_is_not_changed_and_the_server_is_quoted(tmp_path, settings):
    account, _, _ = judged(tmp_path, {"max_tokens": LIMIT, "temperature": TEMPERATURE}, 1, **settings)
    (reason,) = account.failed
    assert reason.startswith("HTTP 400: Unsupported")


def test_no_log_probabilities_is_one_sentence(tmp_path):
    with pytest.raises(
        UserError, match=r"no log-probabilities: leave out --judge-mode logprobs.*does not support"
    ):
        judged(tmp_path, {"logprobs": LOGPROBS}, mode="logprobs")


@pytest.mark.parametrize("status", [400, 401, 404, 422])
@pytest.mark.parametrize("kind", ["error", "string", "detail"])
def test_a_servers_own_words_reach_the_user_without_secrets(tmp_path, monkeypatch, status, kind):
    monkeypatch.setenv("TEST_KEY", KEY)
    said = f"no such thing for {KEY} at pw-of-mine?token=tkn-of-mine"
    body = {"error": {"error": {"message": said}}, "string": {"error": said}, "detail": {"detail": said}}[
        kind
    ]
    with serving(lambda *_: Answer(json.dumps(body).encode(), status)) as server:
        url = server.url.replace("http://", "http://me:pw-of-mine@") + "?token=tkn-of-mine"
        judge = OpenAIJudge("m", load_template("verdict"), base_url=url, key_env="TEST_KEY", max_retries=0)
        call = next(iter(plan_of([pair(0, "a", "b")]).calls.values()))
        try:
            told = judge.ask([call])[0].error
        except UserError as error:
            told = str(error)
    assert f"HTTP {status}" in told
    assert "no such thing for *** at ***?token=***" in told


def test_a_long_prompt_is_no_refused_parameter(tmp_path):
    said = "'max_tokens' is too large: 256. This model's maximum context length is 128."
    account, _, requests = judged(tmp_path, {"max_tokens": said}, 1)
    assert dict(account.failed) == {f"HTTP 400: {said}": 2}
    assert len(requests) == 2


@pytest.mark.parametrize(("given", "told"), [("auto", 0), ("none", None), ("0.7", 0.7), ("0", 0.0)])
def test_flags_reach_the_judge_and_its_identity(given, told):
    flags = JudgeFlags(
        "openai:m", base_url="http://127.0.0.1:9/v1", temperature=given, limit_parameter=JudgeLimit.none
    )
    judge = flags.judge_of([], TrustFlags(), None)
    assert judge.identity["temperature"] == told
    assert judge.identity["limit_parameter"] == "none"
    with pytest.raises(UserError, match="--judge-temperature warm: write auto, none"):
        JudgeFlags("openai:m", temperature="warm").judge_of([], TrustFlags(), None)


def test_the_identity_of_earlier_replies_stays():
    judge = OpenAIJudge("m", load_template("verdict"), base_url="http://127.0.0.1:9/v1")
    assert judge.identity == {
        "backend": "openai",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "mode": "verdict",
        "temperature": 0,
        "max_tokens": 256,
        "template": "verdict",
        "template_hash": load_template("verdict").hash,
        "max_chars": 8000,
    }
