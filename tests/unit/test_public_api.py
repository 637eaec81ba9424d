"""The public names. A change here is a change for every user: read it as one."""

import client_kit
from client_kit import client, errors

NAMES = [
    "Answer", "AsyncConsensusClient", "ConsensusClient", "ConsensusError", "FinishReason", "Prompt", "PromptSet",
    "PseudoLabel", "RetryPolicy", "RoundState", "Submission", "__version__", "export_labels", "load_prompt_set",
]  # fmt: skip

METHODS = [
    "add_operator", "add_participant", "appeal", "appeals", "bind", "bundle", "card", "carry", "check_upload",
    "close", "close_round", "create_federation", "create_round", "current_round", "end_key", "endpoint", "erase",
    "events", "explanation", "federation", "federations", "health", "held", "identity", "in_federation",
    "invitations", "invite", "map", "metrics", "missing", "new_operator_token", "new_token", "open_round",
    "operator_tokens", "operators", "parameters", "participants", "prompt_set", "prompt_sets", "prompts",
    "pseudo_label_page", "pseudo_labels", "pulls", "put_parameters", "readiness", "redeem", "register_key",
    "rejections", "reliability", "remove_endpoint", "remove_operator", "resolve_appeal", "revoke_operator_token",
    "revoke_token", "round", "rounds", "seal", "server_key", "set_active", "set_endpoint", "signature",
    "signing_keys", "submit", "submit_and_seal", "tokens", "traffic", "upload_prompt_set", "wait_for",
    "wait_for_labels", "what_if", "withdraw", "withdraw_invitation",
]  # fmt: skip


def test_names_of_the_kit():
    assert sorted(client_kit.__all__) == dir(client_kit) == NAMES
    assert all(getattr(client_kit, name) is not None for name in NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(client_kit, "nothing_of_the_sort")


def test_methods_of_the_clients():
    for kind in (client.ConsensusClient, client.AsyncConsensusClient):
        assert sorted(name for name in vars(kind) if not name.startswith("_")) == METHODS


def test_every_public_method_and_every_error_says_what_it_is():
    methods = [getattr(client.ConsensusClient, name) for name in METHODS]
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert [item.__qualname__ for item in (*methods, *kinds) if not item.__doc__] == []
