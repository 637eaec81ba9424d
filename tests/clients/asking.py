"""Runs in the environment of `make clients`: python asking.py CLIENT URL KEY. Prints what each cell of the matrix came to, as JSON.

A cell is a function of a client's class here; what it returns is printed, or the name of what it raises. The panels are those of
test_other_clients.py. Nothing of the project is imported.
"""

import asyncio
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would be fetched
os.environ["LANGSMITH_TRACING"] = "false"

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look a city up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
AS_CITY = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}


def as_(on_abstention):
    return {"extra_body": {"consensus": {"on_abstention": on_abstention}}}


class OpenAI:
    def __init__(self, url, key):
        import openai

        self.client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
        self.other = openai.OpenAI(base_url=url, api_key="somebody", max_retries=0)
        self.later = openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0)

    def ask(self, model="agreed", client=None, **options):
        return (client or self.client).chat.completions.create(model=model, messages=MESSAGES, **options)

    def plain(self):
        return self.ask().choices[0].message.content

    def asynchronous(self):
        async def ask():
            return await self.later.chat.completions.create(model="agreed", messages=MESSAGES)

        return asyncio.run(ask()).choices[0].message.content

    def stream(self):
        return "".join(chunk.choices[0].delta.content or "" for chunk in self.ask(stream=True))

    def n(self):
        return [choice.message.content for choice in self.ask(n=2).choices]

    def confidence(self):
        return self.ask().consensus["confidence"] > 0

    def abstention(self):
        message = self.ask("torn").choices[0].message
        return [message.content, bool(message.refusal)]

    def abstention_in_a_stream(self):
        return "".join(chunk.choices[0].delta.content or "" for chunk in self.ask("torn", stream=True))

    def abstention_as_text(self):
        return self.ask("torn", **as_("text")).choices[0].message.content

    def abstention_as_text_in_a_stream(self):
        chunks = self.ask("torn", stream=True, **as_("text"))
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    def abstention_as_an_error(self):
        return self.ask("torn", **as_("error"))

    def json_schema(self):
        return json.loads(self.ask("records", response_format=AS_CITY).choices[0].message.content)

    def json_schema_abstention(self):
        message = self.ask("torn-records", response_format=AS_CITY).choices[0].message
        return [message.content, bool(message.refusal)]

    def tools(self):
        (call,) = self.ask("callers", tools=[LOOK]).choices[0].message.tool_calls
        return [call.function.name, json.loads(call.function.arguments)]

    def tools_in_a_stream(self):
        calls = [
            call
            for chunk in self.ask("callers", tools=[LOOK], stream=True)
            for call in chunk.choices[0].delta.tool_calls or []
        ]
        return [calls[0].function.name, json.loads("".join(call.function.arguments or "" for call in calls))]

    def wrong_key(self):
        return self.ask(client=self.other)

    def unknown_panel(self):
        return self.ask("nobody")

    def quorum_missed(self):
        return self.ask("down")


class LiteLLM(OpenAI):
    def __init__(self, url, key):
        import litellm

        litellm.suppress_debug_info = True
        self.litellm, self.url, self.key = litellm, url, key

    def _options(self, model, options):
        common = {"api_base": self.url, "api_key": self.key, "messages": MESSAGES, "max_retries": 0}
        return {**common, "model": f"openai/{model}", **options}

    def ask(self, model="agreed", **options):
        return self.litellm.completion(**self._options(model, options))

    def asynchronous(self):
        return asyncio.run(self.litellm.acompletion(**self._options("agreed", {}))).choices[0].message.content

    def wrong_key(self):
        return self.ask(api_key="somebody")


class LangChain:
    def __init__(self, url, key):
        self.url, self.key = url, key

    def model(self, name="agreed", **options):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=name, base_url=self.url, max_retries=0, **{"api_key": self.key, **options})

    def _said(self, model):
        return model.invoke(MESSAGES).content

    def plain(self):
        return self._said(self.model())

    def asynchronous(self):
        return asyncio.run(self.model().ainvoke(MESSAGES)).content

    def stream(self):
        return "".join(chunk.content for chunk in self.model().stream(MESSAGES))

    def n(self):
        from langchain_core.messages import HumanMessage

        asked = [HumanMessage(MESSAGES[0]["content"])]
        return [each.text for each in self.model(n=2).generate([asked]).generations[0]]

    def abstention(self):
        message = self.model("torn").invoke(MESSAGES)
        return [message.content, bool(message.additional_kwargs.get("refusal"))]

    def abstention_in_a_stream(self):
        return "".join(chunk.content for chunk in self.model("torn").stream(MESSAGES))

    def abstention_as_text(self):
        return self._said(self.model("torn", **as_("text")))

    def abstention_as_text_in_a_stream(self):
        return "".join(chunk.content for chunk in self.model("torn", **as_("text")).stream(MESSAGES))

    def abstention_as_an_error(self):
        return self._said(self.model("torn", **as_("error")))

    def json_schema(self):
        schema = {"title": "city", "description": "A city.", **CITY}
        return self.model("records").with_structured_output(schema, method="json_schema").invoke(MESSAGES)

    def json_schema_abstention(self):
        schema = {"title": "city", "description": "A city.", **CITY}
        return self.model("torn-records").with_structured_output(schema, method="json_schema").invoke(MESSAGES)

    def tools(self):
        (call,) = self.model("callers").bind_tools([LOOK]).invoke(MESSAGES).tool_calls
        return [call["name"], call["args"]]

    def tools_in_a_stream(self):
        whole = None
        for chunk in self.model("callers").bind_tools([LOOK]).stream(MESSAGES):
            whole = chunk if whole is None else whole + chunk
        (call,) = whole.tool_calls
        return [call["name"], call["args"]]

    def wrong_key(self):
        return self._said(self.model(api_key="somebody"))

    def unknown_panel(self):
        return self._said(self.model("nobody"))

    def quorum_missed(self):
        return self._said(self.model("down"))


class Instructor:
    def __init__(self, url, key):
        import openai
        from pydantic import BaseModel

        class City(BaseModel):
            city: str

        self.shape, self.url, self.openai = City, url, openai
        self.key = key

    def ask(self, mode, model, key=None):
        import instructor

        client = instructor.from_openai(
            self.openai.OpenAI(base_url=self.url, api_key=key or self.key, max_retries=0), mode=instructor.Mode[mode]
        )
        answer = client.chat.completions.create(
            model=model, messages=MESSAGES, response_model=self.shape, max_retries=0
        )
        return answer.model_dump()

    def json_schema(self):
        return self.ask("JSON_SCHEMA", "records")

    def json_object(self):
        return self.ask("JSON", "records")

    def tools(self):
        return self.ask("TOOLS", "cities")

    def json_schema_abstention(self):
        return self.ask("JSON_SCHEMA", "torn-records")

    def wrong_key(self):
        return self.ask("JSON_SCHEMA", "records", "somebody")

    def unknown_panel(self):
        return self.ask("JSON_SCHEMA", "nobody")

    def quorum_missed(self):
        return self.ask("JSON_SCHEMA", "down")


def come_to(cell):
    try:
        return {"came": cell()}
    except Exception as error:  # noqa: BLE001 - which one it is is what is asked
        return {"raised": type(error).__name__, "says": str(error)}


def main(name, url, key):
    client = {"openai": OpenAI, "litellm": LiteLLM, "langchain": LangChain, "instructor": Instructor}[name](url, key)
    helpers = {"ask", "model"}
    cells = [each for each in dir(client) if not each.startswith("_") and each not in helpers]
    print(
        json.dumps(
            {each: come_to(getattr(client, each)) for each in cells if callable(getattr(type(client), each, None))}
        )
    )


main(*sys.argv[1:])
