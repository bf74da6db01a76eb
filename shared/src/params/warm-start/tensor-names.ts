/** What other programs call the tensors of an encoder, and what they are called here: as timm and torchvision do. */

/** Wrappers around an encoder, in whatever order. Hugging Face's own "encoder.layer." is no wrapper. */
const wrapper =
  /^(?:module|_orig_mod|model|base_model|backbone|vit|deit|dinov2|dinov2_with_registers|encoder(?!\.layer\.))\./;

export function withoutWrappers(name: string): string {
  let bare = name;
  while (wrapper.test(bare)) bare = bare.replace(wrapper, "");
  return bare;
}

/** A tensor's name here; `part` is its place among three that are stacked into one. */
export interface OwnName {
  readonly name: string;
  readonly part?: number;
}

type Rule = readonly [pattern: RegExp, name: string];

const rules: readonly Rule[] = [
  // timm's registers, iBOT's mask, and blocks that DINOv2 trains in chunks; the number within a chunk counts from the first.
  [/^reg_token$/, "register_tokens"],
  [/^masked_embed$/, "mask_token"],
  [/^blocks\.\d+\.(\d+\..+)$/, "blocks.$1"],
  // ViT and Dinov2 of Hugging Face's transformers, as their files and as version 5's modules have it.
  [/^embeddings\.(cls_token|mask_token|register_tokens)$/, "$1"],
  [/^embeddings\.position_embeddings$/, "pos_embed"],
  [/^embeddings\.patch_embeddings\.projection\.(.+)$/, "patch_embed.proj.$1"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.attention\.(?:output\.dense|o_proj)\.(.+)$/, "blocks.$1.attn.proj.$2"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.(?:layernorm_before|norm1)\.(.+)$/, "blocks.$1.norm1.$2"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.(?:layernorm_after|norm2)\.(.+)$/, "blocks.$1.norm2.$2"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.(?:intermediate\.dense|mlp\.fc1)\.(.+)$/, "blocks.$1.mlp.fc1.$2"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.(?:output\.dense|mlp\.fc2)\.(.+)$/, "blocks.$1.mlp.fc2.$2"],
  [/^(?:encoder\.layer|layers)\.(\d+)\.layer_scale([12])\.lambda1$/, "blocks.$1.ls$2.gamma"],
  [/^layernorm\.(.+)$/, "norm.$1"],
];

const attention =
  /^(?:encoder\.layer|layers)\.(\d+)\.attention\.(?:attention\.(query|key|value)|([qkv])_proj)\.(weight|bias)$/;
const parts = ["q", "k", "v"];

/** @param name without wrappers; one that no rule knows is kept */
export function ownName(name: string): OwnName {
  const [, block, long, short = "", kind] = attention.exec(name) ?? [];
  if (block !== undefined) {
    return { name: `blocks.${block}.attn.qkv.${kind}`, part: parts.indexOf(long?.charAt(0) ?? short) };
  }
  for (const [pattern, replacement] of rules) {
    if (pattern.test(name)) return { name: name.replace(pattern, replacement) };
  }
  return { name };
}
