"""A model of a few kilobytes that a real server loads, and that says what a test wants.

It is a llama of one layer whose attention and feed-forward weights are zero, so what comes next
depends on the last token alone: the weights are a list of which token follows which. Tokens can be
whole sentences. The chat template ends every prompt with a token that stands for what is asked (the
first word, or the word after a tool's output), and from there the chain runs to its end.

The file format is GGUF 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_ALIGNMENT = 32
_STRING, _ARRAY, _UINT32, _INT32, _FLOAT32, _BOOL = 8, 9, 4, 5, 6, 7
_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6
_HEAD_SIZE = 16
_FEED_FORWARD = 32
_CONTEXT_TOKENS = 131_072

FIRST, AFTER_TOOL = "<|first|>", "<|after_tool|>"

TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call tools. They are:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
A call is written so: <tool_call>
{"name": name, "arguments": arguments}
</tool_call><|im_end|>
{%- endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{% if message.role == "assistant" and message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content or "" }}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}
{%- endif %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if messages[-1].role == "tool" %}<|after_tool|>{% else %}<|first|>{% endif %}
{%- endif %}
"""


def write_model(
    path: Path, first: Sequence[str], after_tool: Sequence[str], words: Iterable[str] = ()
) -> None:
    """Write a model that says the pieces of `first`, and those of `after_tool` after an output.

    `words` are tokens of their own; everything else is read byte by byte, which is slow.
    """
    tokens = [("<unk>", _UNKNOWN), ("<s>", _CONTROL), ("<|im_end|>", _CONTROL)]
    tokens += [(f"<0x{value:02X}>", _BYTE) for value in range(256)]
    tokens += [("<|im_start|>", _CONTROL), (FIRST, _CONTROL), (AFTER_TOOL, _CONTROL)]
    end = 2
    follows: dict[int, int] = {}
    for start, said in ((FIRST, first), (AFTER_TOOL, after_tool)):
        last = next(place for place, (text, _) in enumerate(tokens) if text == start)
        for piece in said:
            follows[last] = len(tokens)
            last = len(tokens)
            tokens.append((piece, _USER))
        follows[last] = end
    tokens += [(word, _USER) for word in words if word not in {text for text, _ in tokens}]
    path.write_bytes(_file(tokens, follows, end))


def _file(tokens: Sequence[tuple[str, int]], follows: dict[int, int], end: int) -> bytes:
    count = len(tokens)
    width = -(-count // 32) * 32
    facts: list[tuple[str, int, Any]] = [
        ("general.architecture", _STRING, "llama"),
        ("general.name", _STRING, "tiny"),
        ("general.alignment", _UINT32, _ALIGNMENT),
        ("llama.context_length", _UINT32, _CONTEXT_TOKENS),
        ("llama.embedding_length", _UINT32, width),
        ("llama.block_count", _UINT32, 1),
        ("llama.feed_forward_length", _UINT32, _FEED_FORWARD),
        ("llama.attention.head_count", _UINT32, 1),
        ("llama.attention.head_count_kv", _UINT32, 1),
        ("llama.attention.key_length", _UINT32, _HEAD_SIZE),
        ("llama.attention.value_length", _UINT32, _HEAD_SIZE),
        ("llama.attention.layer_norm_rms_epsilon", _FLOAT32, 1e-5),
        ("llama.rope.dimension_count", _UINT32, _HEAD_SIZE),
        ("llama.vocab_size", _UINT32, count),
        ("tokenizer.ggml.model", _STRING, "llama"),
        ("tokenizer.ggml.tokens", _ARRAY, (_STRING, [text for text, _ in tokens])),
        ("tokenizer.ggml.scores", _ARRAY, (_FLOAT32, [0.0] * count)),
        ("tokenizer.ggml.token_type", _ARRAY, (_INT32, [kind for _, kind in tokens])),
        ("tokenizer.ggml.bos_token_id", _UINT32, 1),
        ("tokenizer.ggml.eos_token_id", _UINT32, end),
        ("tokenizer.ggml.unknown_token_id", _UINT32, 0),
        ("tokenizer.ggml.add_bos_token", _BOOL, False),
        ("tokenizer.ggml.add_space_prefix", _BOOL, False),
        ("tokenizer.chat_template", _STRING, TEMPLATE),
    ]
    embedding = _zeros(width * count)
    output = _zeros(width * count)
    for token in range(count):
        embedding[token * width + token] = 1.0
        output[follows.get(token, end) * width + token] = 4.0
    head, tall = (width, _HEAD_SIZE), (width, _FEED_FORWARD)
    tensors: list[tuple[str, tuple[int, ...], array[float]]] = [
        ("token_embd.weight", (width, count), embedding),
        ("output_norm.weight", (width,), array("f", [1.0] * width)),
        ("output.weight", (width, count), output),
        ("blk.0.attn_norm.weight", (width,), array("f", [1.0] * width)),
        ("blk.0.attn_q.weight", head, _zeros(width * _HEAD_SIZE)),
        ("blk.0.attn_k.weight", head, _zeros(width * _HEAD_SIZE)),
        ("blk.0.attn_v.weight", head, _zeros(width * _HEAD_SIZE)),
        ("blk.0.attn_output.weight", (_HEAD_SIZE, width), _zeros(width * _HEAD_SIZE)),
        ("blk.0.ffn_norm.weight", (width,), array("f", [1.0] * width)),
        ("blk.0.ffn_gate.weight", tall, _zeros(width * _FEED_FORWARD)),
        ("blk.0.ffn_up.weight", tall, _zeros(width * _FEED_FORWARD)),
        ("blk.0.ffn_down.weight", (_FEED_FORWARD, width), _zeros(width * _FEED_FORWARD)),
    ]
    start = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts)))
    for name, kind, value in facts:
        start += _text(name) + struct.pack("<I", kind) + _value(kind, value)
    data = bytearray()
    for name, shape, values in tensors:
        start += _text(name) + struct.pack("<I", len(shape))
        start += b"".join(struct.pack("<Q", size) for size in shape)
        start += struct.pack("<IQ", 0, len(data))  # 0 is F32
        data += values.tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
    return bytes(start) + bytes(-len(start) % _ALIGNMENT) + bytes(data)


def _zeros(count: int) -> array[float]:
    return array("f", bytes(4 * count))


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind: int, value: Any) -> bytes:
    match kind:
        case 8:
            return _text(value)
        case 9:
            inner, values = value
            packed = b"".join(_value(inner, one) for one in values)
            return struct.pack("<IQ", inner, len(values)) + packed
        case 4:
            return struct.pack("<I", value)
        case 5:
            return struct.pack("<i", value)
        case 6:
            return struct.pack("<f", value)
        case _:
            return struct.pack("<?", value)
