"""Settings of deliveries: off by default, secrets only from the environment, and never in an error."""

from __future__ import annotations

import pytest

from userops.errors import ConfigError

ROBOT = "delivery: {robots: {ops_group: {platform: dingtalk}}}\n"
TOKEN = "obviously-fake-token"


def test_nothing_is_sent_by_default(instance):
    assert not instance().delivery.is_on


def test_secrets_come_from_the_environment_beside_what_the_file_says(instance, monkeypatch):
    url = f"https://oapi.dingtalk.com/robot/send?access_token={TOKEN}"
    monkeypatch.setenv("USEROPS_DELIVERY__ROBOTS__OPS_GROUP__URL", url)
    monkeypatch.setenv("USEROPS_DELIVERY__ROBOTS__OPS_GROUP__SECRET", "20240101")  # digits only must stay text
    monkeypatch.setenv("USEROPS_DELIVERY__EMAIL__PASSWORD", "123456")
    settings = instance(ROBOT)
    robot = settings.delivery.robots["ops_group"]
    assert robot.url.get_secret_value() == url
    assert robot.secret.get_secret_value() == "20240101"
    assert settings.delivery.email.password.get_secret_value() == "123456"
    assert TOKEN not in repr(settings)
    assert "123456" not in repr(settings)


@pytest.mark.parametrize(
    ("yml", "variable"),
    [
        ("delivery: {email: {password: obviously-fake-token}}\n", "USEROPS_DELIVERY__EMAIL__PASSWORD"),
        (
            "delivery: {robots: {a: {platform: wecom, url: 'https://x/obviously-fake-token'}}}\n",
            "USEROPS_DELIVERY__ROBOTS__A__URL",
        ),
        (
            "delivery: {robots: {a: {platform: feishu, secret: obviously-fake-token}}}\n",
            "USEROPS_DELIVERY__ROBOTS__A__SECRET",
        ),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(instance, yml, variable):
    with pytest.raises(ConfigError) as caught:
        instance(yml)
    assert variable in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("yml", "words"),
    [
        ("delivery: {email: {enabled: true}}\n", ["`delivery.email`", "host, sender, recipients"]),
        ("delivery: {email: {security: tls}}\n", ["'tls'", "'starttls'"]),
        ("delivery: {email: {username: ops, security: plain}}\n", ["a password never goes over an open line"]),
        ("delivery: {email: {sender: nobody}}\n", ["'nobody'", "userops@example.com"]),
        ("delivery: {email: {recipients: {churn: {all: [a@b.cn]}}}}\n", ["churn_warning, winback, not churn"]),
        ("delivery: {email: {recipients: {winback: {all: ['a@b.cn, c@d.cn']}}}}\n", ["ops@example.com, not a@b.cn"]),
        ("delivery: {email: {recipients: {winback: {all: [a@b.cn, a@b.cn]}}}}\n", ["every address once"]),
        ("delivery: {robots: {Ops: {platform: wecom}}}\n", ["small letters", "not Ops"]),
        ("delivery: {robots: {ops__a: {platform: wecom}}}\n", ["single _", "not ops__a"]),
        ("delivery: {robots: {ops: {platform: slack}}}\n", ["'slack'", "'dingtalk', 'wecom' or 'feishu'"]),
        ("delivery: {robots: {ops: {}}}\n", ["`delivery.robots.ops.platform`", "required"]),
        ("delivery: {robots: {ops: {platform: wecom, lists: []}}}\n", ["at least 1 item"]),
        ("delivery: {link_base: files.example.com}\n", ["files.example.com", "https?://"]),
        ("lists: {language: de}\n", ["'de'", "'zh', 'en' or 'both'"]),
    ],
)
def test_a_mistake_names_key_value_and_what_is_expected(instance, yml, words):
    with pytest.raises(ConfigError) as caught:
        instance(yml)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "yml"),
    [
        ("ROBOTS__OPS_GROUP__URL", f"http://oapi.dingtalk.com/{TOKEN}", ROBOT),
        ("ROBOTS__OPS_GROUP__URL", TOKEN, ROBOT),
        ("ROBOTS__OTHER__URL", f"https://example.com/{TOKEN}", ROBOT),  # a robot without a platform
        ("ROBOTS__OPS_GROUP__SECRET", TOKEN, "delivery: {robots: {ops_group: {platform: nothing}}}\n"),
        ("EMAIL__PASSWORD", TOKEN, "delivery: {email: {enabled: true}}\n"),
    ],
)
def test_an_error_about_a_secret_does_not_show_it(instance, monkeypatch, key, value, yml):
    monkeypatch.setenv(f"USEROPS_DELIVERY__{key}", value)
    with pytest.raises(ConfigError) as caught:
        instance(yml)
    assert TOKEN not in str(caught.value)


def test_open_lines_are_for_this_machine_only(instance, monkeypatch):
    monkeypatch.setenv("USEROPS_DELIVERY__ROBOTS__OPS_GROUP__URL", "http://127.0.0.1:8080/hook")
    assert instance(ROBOT).delivery.is_on


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("ssl", 465), ("plain", 25)])
def test_the_port_follows_the_encryption(instance, security, port):
    assert instance(f"delivery: {{email: {{security: {security}}}}}\n").delivery.email.server_port == port
