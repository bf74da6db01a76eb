"""The training steps of `npm run bench -- engine` written for PyTorch, as a user of that library would write them.

Usage: python pytorch_step.py '{"width":192,"depth":12,"heads":3,"imageSize":224,"patchSize":16,"batch":16,
  "threads":2,"step":"mae","maskRatio":0.75,"decoderWidth":512,"decoderBlocks":8,"decoderHeads":16}'

Speaks lines of JSON: prints {"ready": true, ...} once the model stands, then answers each line "N" on standard input
with {"stepMs": [...], "loss": ...} after N more steps. The answer to an empty line is {"peakRssMiB": ...}.
Attention is the library's fused kernel, the optimiser its fused AdamW, data a fixed batch made before the clock runs.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width, patches = shape["width"], (shape["imageSize"] // shape["patchSize"]) ** 2
        self.patch_embed = nn.Conv2d(3, width, shape["patchSize"], shape["patchSize"])
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        trained = shape["step"] == "dense"
        self.pos_embed = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02, requires_grad=trained)
        self.blocks = nn.Sequential(*[Block(width, shape["heads"]) for _ in range(shape["depth"])])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def embed(self, images):
        return self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos_embed[:, 1:]

    def encode(self, tokens):
        first = (self.cls_token + self.pos_embed[:, :1]).expand(tokens.shape[0], -1, -1)
        return self.norm(self.blocks(torch.cat([first, tokens], 1)))


class MaskedAutoencoder(nn.Module):
    """He et al. 2022: encodes visible patches only, predicts the standardised pixels of the hidden ones."""

    def __init__(self, shape):
        super().__init__()
        self.encoder = Encoder(shape)
        self.patch, self.ratio = shape["patchSize"], shape["maskRatio"]
        patches, width = (shape["imageSize"] // self.patch) ** 2, shape["decoderWidth"]
        self.decoder_embed = nn.Linear(shape["width"], width)
        self.mask_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.decoder_pos = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02, requires_grad=False)
        self.decoder = nn.Sequential(*[Block(width, shape["decoderHeads"]) for _ in range(shape["decoderBlocks"])])
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.predict = nn.Linear(width, 3 * self.patch**2)

    def forward(self, images):
        tokens = self.encoder.embed(images)
        batch, patches, width = tokens.shape
        visible = int(patches * (1 - self.ratio))
        order = torch.rand(batch, patches, device=images.device).argsort(1)
        restore = order.argsort(1)
        seen = tokens.gather(1, order[:, :visible, None].expand(-1, -1, width))
        encoded = self.decoder_embed(self.encoder.encode(seen))
        hidden = self.mask_token.expand(batch, patches - visible, -1)
        shuffled = torch.cat([encoded[:, 1:], hidden], 1)
        placed = shuffled.gather(1, restore[:, :, None].expand(-1, -1, shuffled.shape[2]))
        decoded = self.decoder(torch.cat([encoded[:, :1], placed], 1) + self.decoder_pos)
        prediction = self.predict(self.decoder_norm(decoded[:, 1:]))
        target = patchify(images, self.patch)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
        mask = (restore >= visible).float()
        return (((prediction - target) ** 2).mean(-1) * mask).sum() / mask.sum()


class DenseReconstruction(nn.Module):
    """All tokens through the encoder, a linear map to the pixels of every patch."""

    def __init__(self, shape):
        super().__init__()
        self.encoder = Encoder(shape)
        self.patch = shape["patchSize"]
        self.predict = nn.Linear(shape["width"], 3 * self.patch**2)

    def forward(self, images):
        prediction = self.predict(self.encoder.encode(self.encoder.embed(images))[:, 1:])
        return ((prediction - patchify(images, self.patch)) ** 2).mean()


def patchify(images, side):
    batch, channels, height, width = images.shape
    split = images.reshape(batch, channels, height // side, side, width // side, side)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, side * side * channels)


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    shape = json.loads(sys.argv[1])
    torch.manual_seed(1)
    device = shape.get("device", "cpu")
    if shape["threads"] > 0:
        torch.set_num_threads(shape["threads"])
    model = (MaskedAutoencoder if shape["step"] == "mae" else DenseReconstruction)(shape).to(device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    images = torch.randn(shape["batch"], 3, shape["imageSize"], shape["imageSize"], device=device)
    print(json.dumps({"ready": True, "torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        if line.strip() == "":
            print(json.dumps({"peakRssMiB": peak_rss_mib()}), flush=True)
            continue
        times = []
        for _ in range(int(line)):
            started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = model(images)
            loss.backward()
            optimizer.step()
            value = loss.item()
            times.append(1000 * (time.perf_counter() - started))
        print(json.dumps({"stepMs": times, "loss": value}), flush=True)


if __name__ == "__main__":
    main()
