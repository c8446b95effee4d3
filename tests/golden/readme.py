"""Writes the tables of README.md between their markers."""

import json

from reference import HERE


def replace(name, lines):
    """Puts `lines` between the markers <!-- NAME --> and <!-- end NAME -->."""
    path = HERE / "README.md"
    text = path.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    path.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


def clip(case):
    request = case["request"]
    return f"{request['frames']}×{request['height']}×{request['width']}"


def remarks(case):
    request = case["request"]
    words = [f"guidance {request['guidance_scale']:g}"]
    words += [word for key, word in (("dynamic_cfg", "dynamic"), ("vae_tiling", "tiled VAE"),
                                     ("image", "image")) if request.get(key)]
    words += [] if case["served"] else ["size refused by the service"]
    return ", ".join(words)


def cases():
    """The table of cases, in the order of their names."""
    lines = ["| case | checkpoint | steps | clip | text | remarks | latents std | prediction rms |"
             " fp32−fp64 |", "|---|---|---|---|---|---|---|---|---|"]
    for path in sorted((HERE / "cases").glob("*.json")):
        case = json.loads(path.read_text())
        request = case["request"]
        steps = f"{request['steps']} {request['scheduler']}"
        lines.append(f"| {case['name']} | {case['checkpoint']} | {steps} | {clip(case)}"
                     f" | {request['max_sequence_length']} | {remarks(case)}"
                     f" | {case['latents_std']:.2f} | {case['prediction_std']:.2f}"
                     f" | {case['reference_fp32_fp64']:.1e} |")
    replace("cases", lines)
