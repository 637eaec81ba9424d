"""What a trainer of preferences is told by a real server: which of the site's own answers stood apart."""

from client_kit.client import ConsensusClient
from client_kit.federation.learning import stood_apart
from client_kit.federation.server_process import ServerProcess
from client_kit.wire import (
    Answer,
    ConsensusPolicy,
    FederationCreate,
    Manifest,
    Prompt,
    PromptSetUpload,
    prompt_set_digest,
)

PROMPTS = [Prompt(prompt_id=prompt_id, prompt=f"What is {prompt_id}?") for prompt_id in ("agreed", "split")]
SAID = {
    "one": {"agreed": "It is red.", "split": "The capital is Rome."},
    "two": {"agreed": "It is red.", "split": "The capital is Rome."},
    "odd": {"agreed": "It is red.", "split": "Elephants like fresh bananas"},
}


def test_each_site_learns_of_its_own_answer_only_and_agreement_is_no_pair(tmp_path):
    digest = prompt_set_digest(PROMPTS)
    manifest = Manifest(
        name="two",
        version="1",
        digest=digest,
        prompt_count=2,
        description="d",
        licence="CC0-1.0",
        language="en",
        topics={},
    )
    policy = ConsensusPolicy(rule="cluster_medoid", guards=False, reliability=False)
    settings = {"CONSENSUS_ENCODER": "hashing", "CONSENSUS_POLL_SECONDS": "0.05"}
    with (
        ServerProcess(tmp_path, environment=settings) as server,
        ConsensusClient(server.url, server.operator_token, federation="apart") as operator,
    ):
        operator.upload_prompt_set(PromptSetUpload(manifest=manifest, prompts=PROMPTS))
        operator.create_federation(FederationCreate(federation="apart", prompt_set=digest, policy=policy))
        tokens = {name: operator.add_participant(name).token for name in SAID}
        operator.create_round()
        found = {}
        for name, token in tokens.items():
            with ConsensusClient(server.url, token) as client:
                client.submit_and_seal(1, SAID[name])
        for name, token in tokens.items():
            own = {(key, 0): Answer(prompt_id=key, text=text) for key, text in SAID[name].items()}
            with ConsensusClient(server.url, token) as client:
                labels = client.wait_for_labels(1, 120)
                found[name] = [stood_apart(client, 1, label, own) for label in labels]
    assert [label.text for label in labels] == ["It is red.", "The capital is Rome."]
    assert found == {"one": [None, None], "two": [None, None], "odd": [None, SAID["odd"]["split"]]}
