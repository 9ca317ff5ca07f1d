"""A local OpenAI-compatible server with a fixed latency, in a process of its own; it counts its requests.

Prints its port on standard output. ``GET /count`` says how many judgements were asked for, and how many of
them came twice.
"""

import asyncio
import json
import sys


def reply(shown: str) -> bytes:
    """A completion whose verdict depends on what is shown alone."""
    verdict = ("A", "B", "tie")[sum(shown.encode()) % 3]
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": json.dumps({"verdict": verdict})},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": len(shown) // 4, "completion_tokens": 8, "total_tokens": 0},
    }
    return json.dumps(body).encode()


async def main(latency: float) -> None:
    """Serves until it is terminated."""
    asked: dict[str, int] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").lower().split("\r\n")
                size = next((int(one[15:]) for one in lines if one.startswith("content-length:")), 0)
                sent = await reader.readexactly(size)
                if lines[0].startswith("get"):
                    body = json.dumps([sum(asked.values()), sum(n > 1 for n in asked.values())]).encode()
                else:
                    shown = json.loads(sent)["messages"][0]["content"]
                    asked[shown] = asked.get(shown, 0) + 1
                    await asyncio.sleep(latency)
                    body = reply(shown)
                top = ("HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}")
                writer.write("\r\n".join(top).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
