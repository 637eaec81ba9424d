"""A model of this machine behind an inference API in OpenAI's shape: what a participant without weights sees."""

import asyncio
import socket
import threading
import time
from contextlib import closing, contextmanager

import uvicorn
from fastapi import FastAPI, Request

from client_kit.generation.base import Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.wire import Prompt


def _application(generator, asked):
    app, one_at_a_time = FastAPI(), threading.Lock()

    def answer(body):
        prompt = Prompt(prompt_id="p", prompt=body["messages"][-1]["content"])
        asked.append(prompt.prompt)
        with one_at_a_time:
            (said,) = generator.generate([prompt], Sampling(max_tokens=body["max_tokens"], seed=body["seed"]))
        return {
            "id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": said.finish_reason.value, "message": {"role": "assistant", "content": said.text}}],
            "usage": {
                "prompt_tokens": said.prompt_tokens, "completion_tokens": said.completion_tokens,
                "total_tokens": said.prompt_tokens + said.completion_tokens,
            },
        }  # fmt: skip

    @app.post("/v1/chat/completions")
    async def chat(request: Request):
        return await asyncio.to_thread(answer, await request.json())

    return app


@contextmanager
def model_api(folder):
    """(address, prompts asked so far) of the API while the block runs."""
    asked = []
    with closing(TransformersGenerator(folder, device="cpu", threads=1)) as generator:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = uvicorn.Server(uvicorn.Config(_application(generator, asked), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not runner.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked
        finally:
            runner.should_exit = True
            thread.join()
            listener.close()
