"""The paths of the HTTP API: one table for the server's routers, the client and the docs.

    GET    /healthz  /readyz  /metrics  /openapi.json
    GET    /v1/identity                                        whose token is this
    GET    /v1/signing-key                                     any token -> ServerKey; it signs the rounds of this server
    POST   /v1/prompt-sets                                     operator of the server; 201, or 200 if held already
    GET    /v1/prompt-sets                                     manifests
    GET    /v1/prompt-sets/{digest}                            manifest
    GET    /v1/prompt-sets/{digest}/prompts                    NDJSON of Prompt, in the order of prompt_id
    POST   /v1/federations                                     operator of the server
    GET    /v1/federations            /v1/federations/{f}
    POST   {f}/participants                                    operator -> ParticipantToken
    GET    {f}/participants                                    operator
    PATCH  {f}/participants/{p}                                operator; active: true | false
    POST   {f}/participants/{p}/token                          operator, or its holder; TokenWish; a new token, the old ones end
    PUT    {f}/participants/{p}/certificates                   operator; CertificateBinding; its token is of use with these alone
    PUT    {f}/participants/{p}/signing-key                    its holder; KeyRegistration -> SigningKey; signs its seals from now on
    DELETE {f}/participants/{p}/signing-key                    operator; the key ends, and the participant can register another
    GET    {f}/participants/{p}/signing-keys                   operator, or their holder -> SigningKeyList
    GET    {f}/participants/{p}/tokens                         operator, or their holder -> TokenList
    DELETE {f}/participants/{p}/tokens/{token}                 operator, or its holder; the token ends
    DELETE {f}/participants/{p}/answers                        operator, or the participant itself -> Erasure
    POST   {f}/invitations                                     operator; InvitationCreate -> InvitationCode
    GET    {f}/invitations                                     operator
    DELETE {f}/invitations/{invitation}                        operator
    POST   /v1/invitations/redeem                              whoever has a code; no token; Redemption -> ParticipantToken
    POST   /v1/operators                                       operator of the server; OperatorCreate -> OperatorToken
    GET    /v1/operators                                       operator of the server
    DELETE /v1/operators/{operator}                            operator of the server; its tokens end
    POST   /v1/operators/{operator}/token                      operator of the server; TokenWish; a new token, the old ones end
    GET    /v1/operators/{operator}/tokens                     operator of the server -> TokenList
    DELETE /v1/operators/{operator}/tokens/{token}             operator of the server; the token ends
    PUT    {f}/participants/{p}/endpoint                       operator of the server; the server asks it from now on
    GET    {f}/participants/{p}/endpoint                       operator
    DELETE {f}/participants/{p}/endpoint                       operator of the server; it submits by itself again
    POST   {f}/rounds                                          operator -> Round
    GET    {f}/rounds
    GET    {f}/rounds/{n}?wait_for=STATE&timeout_seconds=T     long poll: answers when the state is reached or passed,
                                                               when the round failed, or after T with the round as it is;
                                                               waits for a round that does not exist yet, then 404
    POST   {f}/rounds/{n}/open        {f}/rounds/{n}/close     operator -> Round
    GET    {f}/rounds/{n}/events                               text/event-stream of RoundEvent; Last-Event-ID resumes;
                                                               ends after round.published or round.failed
    PUT    {f}/rounds/{n}/submissions?replace=false            participant; application/x-ndjson of Answer,
                                                               Content-Encoding identity | gzip | zstd
    GET    {f}/rounds/{n}/submissions                          participant -> HeldSubmission
    DELETE {f}/rounds/{n}/submissions                          participant -> Withdrawal; before the seal
    POST   {f}/rounds/{n}/submissions/seal                     participant; Seal -> SealReceipt; repeated: the same receipt
    GET    {f}/rounds/{n}/pseudo-labels?cursor=&limit=         Accept: application/json -> PseudoLabelPage,
                                                               application/x-ndjson -> stream; ETag, If-None-Match
    PUT    {f}/rounds/{n}/parameters?replace=false             participant; safetensors -> ParameterReceipt
    GET    {f}/rounds/{n}/parameters                           safetensors: the aggregate, where personal the caller's own
    GET    {f}/rounds/{n}/prompts/{id}                         PromptExplanation
    GET    {f}/rounds/{n}/card                                 RoundCard
    GET    {f}/rounds/{n}/signature                            SignedRound
    GET    {f}/rounds/{n}/bundle                               application/zip: all of the round that the caller may see
    GET    {f}/rounds/{n}/pulls                                PullList
    GET    {f}/rounds/{n}/traffic                              operator: all; participant: its own
    GET    {f}/rounds/{n}/maps/{id}?method=pca                 operator: with names; participant: its own named
    POST   {f}/rounds/{n}/what-if                              operator; ConsensusPolicy -> WhatIf
    GET    {f}/rounds/{n}/reliability                          operator: all; participant: its own
    GET    {f}/rounds/{n}/rejections?cursor=&limit=            operator: all; participant: its own
    POST   {f}/rounds/{n}/appeals                              participant; AppealCreate -> Appeal
    GET    {f}/appeals                                         operator: all; participant: its own
    POST   {f}/appeals/{appeal}/resolution                     operator; AppealResolution -> Appeal

    POST   /v1/chat/completions  /v1/completions  /v1/responses  OpenAI's API over panels; errors in OpenAI's envelope
    GET    /v1/models            /v1/models/{model}            the panels that the token may use

Tokens travel as `Authorization: Bearer TOKEN`.
"""

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
SAFETENSORS = "application/octet-stream"
ZIP = "application/zip"

HEALTH = "/healthz"
READY = "/readyz"
METRICS = "/metrics"
IDENTITY = "/v1/identity"
SERVER_KEY = "/v1/signing-key"
PROMPT_SETS = "/v1/prompt-sets"
PROMPT_SET = "/v1/prompt-sets/{digest}"
PROMPTS = "/v1/prompt-sets/{digest}/prompts"
FEDERATIONS = "/v1/federations"
FEDERATION = "/v1/federations/{federation}"
PARTICIPANTS = FEDERATION + "/participants"
PARTICIPANT = PARTICIPANTS + "/{participant}"
TOKEN = PARTICIPANT + "/token"
CERTIFICATES = PARTICIPANT + "/certificates"
SIGNING_KEY = PARTICIPANT + "/signing-key"
SIGNING_KEYS = PARTICIPANT + "/signing-keys"
TOKENS = PARTICIPANT + "/tokens"
ONE_TOKEN = TOKENS + "/{token}"
ANSWERS = PARTICIPANT + "/answers"
INVITATIONS = FEDERATION + "/invitations"
INVITATION = INVITATIONS + "/{invitation}"
REDEEM = "/v1/invitations/redeem"
OPERATORS = "/v1/operators"
OPERATOR = OPERATORS + "/{operator}"
OPERATOR_TOKEN = OPERATOR + "/token"
OPERATOR_TOKENS = OPERATOR + "/tokens"
ONE_OPERATOR_TOKEN = OPERATOR_TOKENS + "/{token}"
ENDPOINT = PARTICIPANT + "/endpoint"
ROUNDS = FEDERATION + "/rounds"
ROUND = ROUNDS + "/{number}"
OPEN = ROUND + "/open"
CLOSE = ROUND + "/close"
EVENTS = ROUND + "/events"
SUBMISSIONS = ROUND + "/submissions"
SEAL = SUBMISSIONS + "/seal"
PARAMETERS = ROUND + "/parameters"
PSEUDO_LABELS = ROUND + "/pseudo-labels"
EXPLANATION = ROUND + "/prompts/{prompt_id:path}"
CARD = ROUND + "/card"
SIGNATURE = ROUND + "/signature"
BUNDLE = ROUND + "/bundle"
TRAFFIC = ROUND + "/traffic"
MAP = ROUND + "/maps/{prompt_id:path}"
WHAT_IF = ROUND + "/what-if"
RELIABILITY = ROUND + "/reliability"
REJECTIONS = ROUND + "/rejections"
ROUND_APPEALS = ROUND + "/appeals"
APPEALS = FEDERATION + "/appeals"
RESOLUTION = APPEALS + "/{appeal}/resolution"
PULLS = ROUND + "/pulls"
CHAT_COMPLETIONS = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
MODELS = "/v1/models"
MODEL = "/v1/models/{model}"
