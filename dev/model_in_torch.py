"""The towers of docs/MODEL.md in PyTorch, from the tensors of a model file by their names in docs/FORMAT.md: the
PyTorch of dev/bench_peers.py, and in f64 its judge. Queries, keys and values in one product and PyTorch's own
attention, as its fast paths like them; eager."""
import torch
import torch.nn.functional as F

KEYS = ("tuwen.vision.kind", "tuwen.vision.activation", "tuwen.vision.head_width", "clip.vision.patch_size",
        "clip.vision.attention.layer_norm_epsilon", "tuwen.text.kind", "clip.text.attention.head_count",
        "clip.text.attention.layer_norm_epsilon", "clip.vision.image_size", "tuwen.text.vocab_size")


def read_gguf(path):
    """{name: f32 tensor}, with q, k and v stacked, and {key: value}."""
    import gguf
    reader = gguf.GGUFReader(path)
    config = {key: reader.fields[key].contents() for key in KEYS if key in reader.fields}
    t = {}
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        t[tensor.name] = torch.from_numpy(data.reshape([int(n) for n in tensor.shape[::-1]]).astype("float32"))
    for name in [n for n in t if ".blk." in n and ".attn_q." in n]:
        t[name.replace("attn_q", "qkv")] = torch.cat([t.pop(name.replace("attn_q", "attn_" + x)) for x in "qkv"])
    return t, config


def activation(word):
    return F.gelu if word == "gelu" else lambda x: x * torch.sigmoid(1.702 * x)


class Towers:
    def __init__(self, tensors, config):
        self.t, self.config = tensors, config
        if config.get("tuwen.text.kind", "bert") != "bert":
            raise RuntimeError("model_in_torch knows Chinese-CLIP's text tower only")

    def linear(self, x, name):
        return F.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def norm(self, x, name, tower):
        weight = self.t[name + ".weight"]
        eps = self.config[f"clip.{tower}.attention.layer_norm_epsilon"]
        return F.layer_norm(x, weight.shape, weight, self.t[name + ".bias"], eps)

    def attention(self, x, block, n_heads, mask=None):
        b, n, width = x.shape
        q, k, v = self.linear(x, block + "qkv").view(b, n, 3, n_heads, width // n_heads).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, mask)
        return self.linear(x.transpose(1, 2).reshape(b, n, width), block + "attn_out")

    def count(self, pattern):
        n = 0
        while pattern.format(n) in self.t:
            n += 1
        return n

    def image(self, pixels):
        """[b, 3, R, R] to [b, E], not normalised."""
        return self.vit(pixels) if self.config["tuwen.vision.kind"] == "vit" else self.resnet(pixels)

    def vit(self, pixels):
        t, act = self.t, activation(self.config["tuwen.vision.activation"])
        x = F.conv2d(pixels, t["v.patch_embd.weight"], stride=self.config["clip.vision.patch_size"])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([t["v.class_embd"].expand(len(x), 1, -1), x], 1) + t["v.position_embd.weight"]
        n_heads = x.shape[2] // self.config["tuwen.vision.head_width"]
        x = self.norm(x, "v.pre_ln", "vision")
        for i in range(self.count("v.blk.{}.ln1.weight")):
            b = f"v.blk.{i}."
            x = x + self.attention(self.norm(x, b + "ln1", "vision"), b, n_heads)
            x = x + self.linear(act(self.linear(self.norm(x, b + "ln2", "vision"), b + "ffn_down")), b + "ffn_up")
        x = self.norm(x[:, 0], "v.post_ln", "vision")
        return self.linear(x, "visual_projection") if "visual_projection.weight" in t else x

    def convolution(self, x, name, stride=1):
        weight, n = self.t[name + ".weight"], name + ".bn."
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)
        return F.batch_norm(x, self.t[n + "mean"], self.t[n + "var"], self.t[n + "weight"], self.t[n + "bias"])

    def resnet(self, x):
        for i, stride in (1, 2), (2, 1), (3, 1):
            x = F.relu(self.convolution(x, f"v.stem.{i}", stride))
        x = F.avg_pool2d(x, 2)
        for stage in 1, 2, 3, 4:
            for i in range(self.count(f"v.stage.{stage}.{{}}.conv1.weight")):
                b, shrink = f"v.stage.{stage}.{i}.", i == 0 and stage > 1
                pool = (lambda y: F.avg_pool2d(y, 2)) if shrink else (lambda y: y)
                y = F.relu(self.convolution(x, b + "conv1"))
                y = self.convolution(pool(F.relu(self.convolution(y, b + "conv2"))), b + "conv3")
                x = F.relu(y + (self.convolution(pool(x), b + "down") if b + "down.weight" in self.t else x))
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.t["v.pool.position_embd.weight"]
        heads = lambda y: y.unflatten(2, (-1, self.config["tuwen.vision.head_width"])).transpose(1, 2)
        x = F.scaled_dot_product_attention(*(heads(self.linear(y, f"v.pool.attn_{n}"))
                                             for n, y in (("q", x[:, :1]), ("k", x), ("v", x))))
        return self.linear(x.transpose(1, 2).flatten(1), "v.pool.attn_out")

    def text(self, ids):
        """[b, n] to [b, E]; 0 is padding."""
        t, n_heads = self.t, self.config["clip.text.attention.head_count"]
        x = F.embedding(ids, t["t.token_embd.weight"]) + t["t.position_embd.weight"][:ids.shape[1]]
        x = self.norm(x + t["t.token_type_embd.weight"][0], "t.embd_ln", "text")
        mask = None if ids.all() else (ids != 0)[:, None, None]
        for i in range(self.count("t.blk.{}.ln1.weight")):
            b = f"t.blk.{i}."
            x = self.norm(x + self.attention(x, b, n_heads, mask), b + "ln1", "text")
            x = self.norm(x + self.linear(F.gelu(self.linear(x, b + "ffn_down")), b + "ffn_up"), b + "ln2", "text")
        return self.linear(x[:, 0], "text_projection")
