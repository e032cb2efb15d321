"""What stands under the name of a secret is replaced, whatever it is and however the name is spelt."""

from __future__ import annotations

import pytest

from driftline.records import Json, Run
from driftline.redaction import Redaction


def cleaned_outputs(outputs: Json) -> Json:
    """What is left of the outputs of a run where only keys are looked for."""
    return Redaction(["key"])(Run(id="a" * 32, trace_id="b" * 32, outputs=outputs)).outputs


SECRET_NAMES = (
    "api_key", "OPENAI_API_KEY", "x-api-key", "apikey", "apiKey", "openaiApiKey", "OpenAIAPIKey", "myapikey",
    "api_keys", "api_key_2", "password", "dbPassword", "dbpassword", "spring.datasource.password",
    "Passphrase", "Authorization", "proxy-authorization", "client_secret", "clientSecret", "secrets",
    "AWS_SECRET_ACCESS_KEY", "privateKey", "accessToken", "refresh_token", "x-amz-security-token",
    "api_token", "apiToken", "GITHUB_TOKEN", "hf_token", "slack_token", "bot_token", "sas_token",
    "csrf-token", "pwd", "MYSQL_PWD", "passcode", "jwt", "Ocp-Apim-Subscription-Key", "account_key",
    "signingKey", "encryption_key", "api_key_value",
    "set-cookie", "cookies", "credentials", "of the server: password", "a" * 400 + "_password",
)  # fmt: skip
HARMLESS_NAMES = (
    "token", "tokens", "max_tokens", "maxTokens", "total_tokens", "token_count", "completion_tokens_details",
    "key", "keys", "keywords", "key_terms", "keyTerms", "primary_key", "primaryKey", "foreignKey",
    "cache_key", "public_key", "author", "authors", "authorized", "authorization_date", "secretary",
    "validToken", "passwordless", "password_policy", "cookie_banner", "bypass",
    "rapid_key", "next_token", "forwarding", "pallbearer", "",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_what_stands_under_the_name_of_a_secret_is_replaced(name: str) -> None:
    cleaned = cleaned_outputs({"settings": [{name: "hunter2pw", "other": "hunter2pw"}]})
    assert cleaned == {"settings": [{name: "[redacted:key]", "other": "hunter2pw"}]}
    assert cleaned_outputs(cleaned) == cleaned


@pytest.mark.parametrize(
    "secret",
    [["hunter2pw"], {"value": "hunter2pw"}, {"length": 8}, [[{"deep": ["x"]}]], 12345678, 1.5],
    ids=repr,
)
def test_it_is_replaced_whatever_it_is(secret: Json) -> None:
    assert cleaned_outputs({"password": secret, "other": secret}) == {
        "password": "[redacted:key]",
        "other": secret,
    }


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_what_stands_under_a_name_that_only_resembles_one_stays(name: str) -> None:
    outputs: Json = {name: {name: ["hunter2pw", 5]}, "pairs": [[name, "hunter2pw"]], "name": name, "value": 5}
    assert cleaned_outputs(outputs) == outputs


def test_what_tells_no_more_than_whether_a_secret_is_there_stays() -> None:
    outputs: Json = {"password": None, "api_key": "", "cookies": [], "credentials": {}, "secret": True}
    assert cleaned_outputs(outputs) == outputs


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "dbPassword"])
def test_a_secret_in_a_list_of_pairs_is_replaced(name: str) -> None:
    outputs: Json = {"headers": [["accept", "*/*"], [name, "Token hunter2pw"], [name, ["hunter2pw"]]]}
    assert cleaned_outputs(outputs) == {
        "headers": [["accept", "*/*"], [name, "[redacted:key]"], [name, "[redacted:key]"]]
    }


def test_two_words_that_are_no_pair_of_a_list_stay() -> None:
    outputs: Json = {"required": ["password", "email"], "fields": ["password", "email"]}
    assert cleaned_outputs(outputs) == outputs


@pytest.mark.parametrize("word", ["name", "key"])
def test_a_secret_beside_its_name_is_replaced(word: str) -> None:
    header: Json = [
        {word: "Authorization", "value": "hunter2pw", "sent": True},
        {word: "Accept", "value": "*/*"},
    ]
    assert cleaned_outputs(header) == [
        {word: "Authorization", "value": "[redacted:key]", "sent": True},
        {word: "Accept", "value": "*/*"},
    ]


def test_names_count_only_where_keys_are_looked_for() -> None:
    outputs: Json = {
        "password": ["hunter2pw"],
        "headers": [["cookie", "x"], {"name": "cookie", "value": "x"}],
    }
    run = Run(id="a" * 32, trace_id="b" * 32, outputs=outputs)
    assert Redaction(["email"])(run) is run
