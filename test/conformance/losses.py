"""The papers' objectives."""

import torch
from torch.nn import functional


def nt_xent(first, second, temperature):
    """SimCLR (Chen et al. 2020), rows of two views."""
    count = len(first)
    rows = functional.normalize(torch.cat([first, second]), dim=1)
    similarities = rows @ rows.T / temperature
    similarities = similarities.masked_fill(torch.eye(2 * count, dtype=torch.bool), float("-inf"))
    partners = torch.arange(2 * count).roll(count)
    return functional.cross_entropy(similarities, partners)


def info_nce(queries, keys, temperature):
    """MoCo v3 (Chen, Xie and He 2021), which SiT takes over: cross entropy times 2 τ."""
    logits = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T / temperature
    return functional.cross_entropy(logits, torch.arange(len(queries))) * (2 * temperature)


def byol_distance(prediction, target):
    """Grill et al. 2020: 2 − 2 cos."""
    return (2 - 2 * functional.cosine_similarity(prediction, target, dim=1)).mean()


def masked_pixels(prediction, target, mask, normalize):
    """MAE (He et al. 2022): [images, patches, values]; `mask` [images, patches] is one where the loss counts."""
    if normalize:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    per_patch = (prediction - target).square().mean(-1)
    return (per_patch * mask).sum() / mask.sum()


def cross_entropy(targets, logits, temperature):
    """Of each row: − Σ t log softmax(s / τ)."""
    return -(targets * functional.log_softmax(logits / temperature, dim=-1)).sum(-1)


def dino(teacher, student, temperature):
    """Caron et al. 2021: every view of the student with every other global view's target. Lists of [images, K]."""
    total, terms = 0, 0
    for index, targets in enumerate(teacher):
        for other, logits in enumerate(student):
            if other == index:
                continue
            total = total + cross_entropy(targets, logits, temperature).mean()
            terms += 1
    return total / terms


def hidden_patches(teacher, student, hidden, temperature):
    """iBOT (Zhou et al. 2022): mean over the hidden patches of a crop, then over crops. [crops, patches, K]."""
    per_patch = cross_entropy(teacher, student, temperature) * hidden
    return (per_patch.sum(1) / hidden.sum(1).clamp(min=1)).mean()


def sinkhorn_knopp(logits, temperature, iterations=3):
    """Caron et al. 2020: [rows, K] → targets whose rows sum to one."""
    plan = (logits / temperature).exp().T
    plan = plan / plan.sum()
    prototypes, rows = plan.shape
    for _ in range(iterations):
        plan = plan / plan.sum(1, keepdim=True) / prototypes
        plan = plan / plan.sum(0, keepdim=True) / rows
    return (plan * rows).T


def koleo(features, epsilon=1e-8):
    """Sablayrolles et al. 2019: − mean log of the distance to the nearest other row on the sphere."""
    rows = functional.normalize(features, dim=1)
    with torch.no_grad():
        similarities = rows @ rows.T
        similarities.fill_diagonal_(-1)
        nearest = similarities.argmax(1)
    distances = (rows - rows[nearest] + epsilon).norm(dim=1)
    return -(distances + epsilon).log().mean()


def restoration(prediction, clean, mask):
    """GMML (Atito et al. 2021): mean absolute difference over the corrupted pixels of all images."""
    corrupted = mask.expand_as(clean).bool()
    return (prediction - clean).abs()[corrupted].mean()


def colour_histogram(channel, bins=5):
    """Shares of [images, height, width] in 0 … 1 in equal bins, the last one closed: [images, bins]."""
    places = (channel.flatten(1) * bins).floor().clamp(max=bins - 1).long()
    return functional.one_hot(places, bins).double().mean(1)


def colours(prediction, truth, logits, pixel_weight, histogram_weight):
    """ColorMe (Li et al. 2020): prediction [images, 2, …] of red and blue, truth [images, 3, …] in 0 … 1."""
    red, blue = prediction.unbind(1)
    image = torch.stack([red, truth[:, 1], blue], 1)
    target = torch.cat([colour_histogram(truth[:, 0]), colour_histogram(truth[:, 2])], 1) / 2
    divergence = functional.kl_div(logits.log_softmax(1), target, reduction="sum") / len(truth)
    return pixel_weight * functional.mse_loss(image, truth) + histogram_weight * divergence
