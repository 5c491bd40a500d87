# What OpenAI's SDK for Python gets from one box, as one JSON object: what each call returned or raised.
# argv: the base URL, the API key.
import json
import sys

from openai import APIStatusError, OpenAI

url, key = sys.argv[1:]
client = OpenAI(base_url=url, api_key=key)


def model(found):
    return [found.id, found.object, found.owned_by, type(found.created).__name__]


CALLS = {
    "list": lambda: sorted(model(found) for found in client.models.list()),
    "retrieve": lambda: model(client.models.retrieve("sample:latest")),
    "retrieve unknown": lambda: model(client.models.retrieve("none")),
    "chat": lambda: client.chat.completions.create(model="sample", messages=[{"role": "user", "content": "Hi"}]).id,
}


def outcome(call):
    try:
        return call()
    except APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return {"error": body.get("message"), "type": body.get("type"), "status": error.status_code, "class": type(error).__name__}


print(json.dumps({name: outcome(call) for name, call in CALLS.items()}))
