#!/usr/bin/env python3
"""Makes tests/data/torch/*.bin with torch.save, and the same tensors as plain safetensors beside them.

    torch_checkpoints.py tests/data/torch

Needs torch and safetensors. `views`: every layout and dtype that a state dict may have, in the zip form and in the older one.
`training`: a training checkpoint whose state dict stands beside an optimiser's. `tied`: one storage under two names. `call`: a file
that would print something if a reader called what it names.
"""
import os, sys
import torch
from safetensors.torch import save_file

out = sys.argv[1]
base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
line = torch.linspace(-3, 3, 11)
views = {
    "contiguous": base.clone(), "transposed": base.t(), "rows": base[1:3], "columns": base[:, 2:4], "every_third": line[::3],
    "expanded": torch.tensor([1.5, -2.5]).expand(3, 2), "permuted": torch.arange(24, dtype=torch.int16).reshape(2, 3, 4).permute(2, 0, 1),
    "scalar": torch.tensor(0.125), "scalar_of_a_line": line[4], "empty": torch.empty(0, 5), "one": base[2:3, 5:6], "tail": line[7:],
    "f64": line.double(), "f16": line.half(), "bf16": line.bfloat16(), "i64": torch.arange(-4, 5), "i32": torch.arange(-4, 5, dtype=torch.int32),
    "i8": torch.arange(-4, 5, dtype=torch.int8), "u8": torch.arange(9, dtype=torch.uint8), "bool": torch.tensor([True, False, True]),
    "c64": torch.complex(line, -line), "parameter": torch.nn.Parameter(base[:2].clone()), "имя.名前": torch.tensor([1.0]),
}
new_types = {  # dtypes without a storage class of their own: _rebuild_tensor_v3
    "u16": torch.tensor([1, 65535], dtype=torch.uint16), "u32": torch.tensor([1, 2**32 - 1], dtype=torch.uint32), "u64": torch.tensor([1, 2**63], dtype=torch.uint64),
    "e4m3": line.to(torch.float8_e4m3fn), "e5m2": line.to(torch.float8_e5m2), "e4m3_transposed": base.to(torch.float8_e4m3fn).t(), "e5m2_tail": line.to(torch.float8_e5m2)[7:],
}
plain = lambda tensors: {k: v.detach().contiguous().clone() for k, v in tensors.items()}


def save(name, value, tensors, **options):
    torch.save(value, os.path.join(out, name + ".bin"), **options)
    if tensors:
        save_file(plain(tensors), os.path.join(out, name + ".safetensors"))


save("views", views, views)
save("views_legacy", views, None, _use_new_zipfile_serialization=False)
save("new_types", new_types, new_types)
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
optimiser = torch.optim.Adam(model.parameters())
model(torch.ones(1, 3)).sum().backward()
optimiser.step()
training = {"epoch": 3, "lr": 1e-4, "note": None, "big": 2**40, "negative": -5, "state_dict": model.state_dict(), "optimizer": optimiser.state_dict(), "shape": base.shape}
save("training", training, model.state_dict())
save("training_legacy", training, None, _use_new_zipfile_serialization=False)
save("tied", {"embedding": base, "head": base, "part": base[1:]}, {"embedding": base.clone(), "head": base.clone(), "part": base[1:].clone()})


class Call:
    def __reduce__(self):
        return print, ("a reader that prints this has run code from a checkpoint",)


save("call", {"weight": torch.zeros(2), "other": Call()}, None)
save("call_legacy", {"weight": torch.zeros(2), "other": Call()}, None, _use_new_zipfile_serialization=False)
save("whole_module", model, None)
