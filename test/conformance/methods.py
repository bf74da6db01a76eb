"""Each method's step up to its loss: `METHODS[name](step)` → (loss, {carried tensor: its next value})."""

from dataclasses import dataclass

import torch

import heads
import losses
from resnet import resnet18, unet
from vit import Vit, block, layer_norm, linear, sin_cos_positions

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).reshape(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).reshape(1, 3, 1, 1)


@dataclass
class Step:
    model: dict
    method: dict
    student: dict
    """The teacher's tensors under the student's names."""
    teacher: dict
    """Centres, and running statistics, which follow in place."""
    carried: dict
    batch: dict
    scalars: dict

    def unit_pixels(self, name):
        """Bytes [images, size, size, 3] → 0 … 1, [images, 3, size, size]."""
        return self.batch[name].permute(0, 3, 1, 2) / 255

    def pixels(self, name):
        return (self.unit_pixels(name) - MEAN) / DEVIATION

    def features(self, tensors, images, statistics=None):
        if "patchSize" not in self.model:
            return resnet18(tensors, images, statistics)[0]
        vit = Vit(self.model)
        tokens = vit.tokens(tensors, images)
        return tokens[:, 0] if self.method["pooling"] == "class" else vit.patch_tokens(tokens).mean(1)

    @property
    def statistics(self):
        return self.carried if "bn1.running_mean" in self.carried else None


def simclr(step):
    images = torch.cat([step.pixels("view1"), step.pixels("view2")])
    projected = heads.simclr_projection(step.features(step.student, images, step.statistics), step.student)
    return losses.nt_xent(*projected.chunk(2), step.method["temperature"]), {}


def byol(step):
    kind = step.method["headNorm"]
    predictions, targets = [], []
    for name in ("view1", "view2"):
        images = step.pixels(name)
        projected = heads.byol_mlp(step.features(step.student, images, step.statistics), step.student, "projector", kind)
        predictions.append(heads.byol_mlp(projected, step.student, "predictor", kind))
        with torch.no_grad():
            targets.append(heads.byol_mlp(step.features(step.teacher, images), step.teacher, "projector", kind))
    loss = losses.byol_distance(predictions[0], targets[1]) + losses.byol_distance(predictions[1], targets[0])
    return loss, {}


def patches_of(images, side):
    """[images, channels, size, size] → [images, patches, side² × channels], inside a patch row, column, channel."""
    count, channels, size, _ = images.shape
    grid = size // side
    cut = images.reshape(count, channels, grid, side, grid, side).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(count, grid * grid, side * side * channels)


def mae(step):
    vit, student, method = Vit(step.model), step.student, step.method
    images, mask = step.pixels("view"), step.batch["mask"]
    count, patches = mask.shape
    seen = (mask == 0).nonzero()[:, 1].reshape(count, -1)
    encoded = linear(vit.tokens(student, images, seen=seen), student, "decoder_embed")
    width = method["decoderWidth"]
    places = seen[..., None].expand(-1, -1, width)
    filled = student["mask_token"].expand(count, patches, -1).scatter(1, places, encoded[:, 1:])
    x = torch.cat([encoded[:, :1], filled], 1) + sin_cos_positions(vit.grid, width)
    for index in range(method["decoderBlocks"]):
        x = block(x, student, f"decoder_blocks.{index}", method["decoderHeads"])
    predicted = linear(layer_norm(x, student, "decoder_norm"), student, "decoder_pred")[:, 1:]
    target = patches_of(images, vit.patch)
    return losses.masked_pixels(predicted, target, mask, method["normalizePixels"]), {}


class Crops:
    """What DINO, iBOT and DINOv2 have in common. Crops go through the networks one view after the other."""

    def __init__(self, step):
        self.step, self.vit, self.method = step, Vit(step.model), step.method
        self.views = torch.cat([step.pixels("global1"), step.pixels("global2")])
        self.hidden = None
        if "hidden" in step.batch:
            self.hidden = step.batch["hidden"].transpose(0, 1).flatten(0, 1).bool()

    def branches(self, name):
        scales = self.step.batch.get(name)
        return None if scales is None else scales.transpose(0, 1).flatten(0, 1)

    @torch.no_grad()
    def teacher_tokens(self):
        return self.vit.tokens(self.step.teacher, self.views)

    def student_tokens(self):
        scales = self.branches("globalBranches")
        return self.vit.tokens(self.step.student, self.views, hidden=self.hidden, branch_scales=scales)

    def student_classes(self, tokens):
        """Of global crops, then of small ones."""
        count = self.method["localCrops"]
        if count == 0:
            return tokens[:, 0]
        images = torch.cat([self.step.pixels(f"local{index + 1}") for index in range(count)])
        small = self.vit.tokens(self.step.student, images, branch_scales=self.branches("localBranches"))
        return torch.cat([tokens[:, 0], small[:, 0]])

    def class_loss(self, targets, classes):
        logits = heads.prototype_logits(classes, self.step.student, "dino_head")
        students = logits.chunk(2 + self.method["localCrops"])
        return losses.dino(targets.chunk(2), students, self.method["studentTemperature"])

    def centred(self, logits, name, temperature):
        return ((logits - self.step.carried[f"centre.{name}"]) / self.step.scalars[temperature]).softmax(-1)

    def next_centre(self, name, mean):
        momentum = self.method["centreMomentum"]
        return momentum * self.step.carried[f"centre.{name}"] + (1 - momentum) * mean


def dino(step):
    crops = Crops(step)
    with torch.no_grad():
        logits = heads.prototype_logits(crops.teacher_tokens()[:, 0], step.teacher, "dino_head")
    targets = crops.centred(logits, "class", "teacherTemperature")
    loss = crops.class_loss(targets, crops.student_classes(crops.student_tokens()))
    return loss, {"centre.class": crops.next_centre("class", logits.mean(0, keepdim=True))}


def ibot(step):
    crops, method = Crops(step), step.method
    with torch.no_grad():
        taught = crops.teacher_tokens()
        logits = heads.prototype_logits(taught[:, 0], step.teacher, "dino_head")
        patch_logits = heads.prototype_logits(crops.vit.patch_tokens(taught), step.teacher, "dino_head")
    targets = crops.centred(logits, "class", "teacherTemperature")
    patch_targets = crops.centred(patch_logits, "patch", "patchTemperature")
    tokens = crops.student_tokens()
    student_patches = heads.prototype_logits(crops.vit.patch_tokens(tokens), step.student, "dino_head")
    class_loss = crops.class_loss(targets, crops.student_classes(tokens))
    patch_loss = losses.hidden_patches(patch_targets, student_patches, crops.hidden, method["studentTemperature"])
    return class_loss + patch_loss, {
        "centre.class": crops.next_centre("class", logits.mean(0, keepdim=True)),
        "centre.patch": crops.next_centre("patch", patch_logits.mean(1).mean(0, keepdim=True)),
    }


def dinov2(step):
    crops, method = Crops(step), step.method
    patch_head = "dino_head" if method["sharedHead"] else "ibot_head"
    hidden = crops.hidden
    with torch.no_grad():
        taught = crops.teacher_tokens()
        logits = heads.prototype_logits(taught[:, 0], step.teacher, "dino_head")
        rows = heads.prototype_logits(crops.vit.patch_tokens(taught)[hidden], step.teacher, patch_head)
    following = {}
    if method["teacherNormalization"] == "centering":
        targets = crops.centred(logits, "class", "teacherTemperature")
        row_targets = crops.centred(rows, "patch", "patchTemperature")
        following["centre.class"] = crops.next_centre("class", logits.mean(0, keepdim=True))
        following["centre.patch"] = crops.next_centre("patch", rows.mean(0, keepdim=True))
    else:
        targets = losses.sinkhorn_knopp(logits, step.scalars["teacherTemperature"])
        row_targets = losses.sinkhorn_knopp(rows, step.scalars["patchTemperature"])
    tokens = crops.student_tokens()
    student_rows = heads.prototype_logits(crops.vit.patch_tokens(tokens)[hidden], step.student, patch_head)
    share = (1 / hidden.sum(1).clamp(min=1))[:, None].expand_as(hidden)[hidden]
    per_row = losses.cross_entropy(row_targets, student_rows, method["studentTemperature"])
    loss = crops.class_loss(targets, crops.student_classes(tokens))
    loss = loss + method["patchLossWeight"] * (per_row * share).sum() / len(hidden)
    spread = sum(losses.koleo(view) for view in tokens[:, 0].chunk(2))
    return loss + method["koleoWeight"] * spread, following


def corrupted_view(step, name):
    """Clean and corrupted images and the mask. A map says what stands in a pixel: 1 another place, 2 noise, 3 the same
    pixel of another image of the batch, 4 zero. Noise is a byte for five deviations on both sides."""
    clean, code = step.pixels(name), step.batch[f"{name}Map"].permute(0, 3, 1, 2)
    noise = (step.batch[f"{name}Corrupted"].permute(0, 3, 1, 2) / 255 - 0.5) * 10
    seen = step.pixels(f"{name}Corrupted")
    seen = torch.where(code == 2, noise, seen)
    seen = torch.where(code == 3, clean.roll(-1, 0), seen)
    return clean, torch.where(code == 4, torch.zeros_like(seen), seen), code > 0


def gmml(step):
    vit = Vit(step.model)
    clean, seen, mask = (torch.cat(both) for both in zip(*(corrupted_view(step, name) for name in ("view1", "view2"))))
    outputs = vit.block_outputs(step.student, seen)
    chosen = [outputs[block_number - 1] for block_number in range(vit.depth // 2, vit.depth + 1, 2)]
    tokens = layer_norm(torch.stack(chosen).mean(0), step.student, "norm")
    return losses.restoration(heads.restored_pixels(vit.patch_tokens(tokens), step.student), clean, mask), {}


def sit(step):
    vit, method = Vit(step.model), step.method
    views = [corrupted_view(step, name) for name in ("view1", "view2")]
    queries, keys, restored = [], [], []
    for clean, seen, _ in views:
        tokens = vit.tokens(step.student, seen)
        restored.append(heads.restored_pixels(vit.patch_tokens(tokens), step.student))
        queries.append(heads.sit_projection(tokens[:, 0], step.student, method["headNorm"]))
        with torch.no_grad():
            keys.append(heads.sit_projection(vit.tokens(step.teacher, clean)[:, 0], step.teacher, method["headNorm"]))
    temperature = method["temperature"]
    contrast = losses.info_nce(queries[0], keys[1], temperature) + losses.info_nce(queries[1], keys[0], temperature)
    clean, _, mask = (torch.cat(both) for both in zip(*views))
    return contrast + method["reconstructionWeight"] * losses.restoration(torch.cat(restored), clean, mask), {}


def colorme(step):
    truth, student, method = step.unit_pixels("view"), step.student, step.method
    green = truth[:, 1:2]
    if "patchSize" in step.model:
        vit = Vit(step.model)
        tokens = vit.patch_tokens(vit.tokens(student, green))
        features = tokens.mean(1)
        pixels = linear(tokens, student, "decoder.colours")
        folded = pixels.reshape(len(truth), vit.grid, vit.grid, vit.patch, vit.patch, 2).permute(0, 5, 1, 3, 2, 4)
        prediction = folded.reshape(len(truth), 2, *truth.shape[2:])
    else:
        features, maps = resnet18(student, green, step.statistics)
        prediction = unet(student, maps)
    weights = (method["pixelWeight"], method["histogramWeight"])
    return losses.colours(prediction, truth, linear(features, student, "histogram"), *weights), {}


METHODS = {
    method.__name__: method for method in (simclr, byol, mae, dino, ibot, dinov2, gmml, sit, colorme)
}
