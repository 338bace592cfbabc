"""The architectures that dev/make_random_checkpoints.py makes: how the original code builds each of
them, computes with it and stores it.

A name tells the source of the weights and the sizes:

    RN50 … ViT-H-14          Chinese-CLIP's own files          cn_clip
    fine-tuned-NAME          NAME with RBT3, a vocabulary of 13,000, 100 positions, 24 of them used,
                             stored with an optimizer and no "module."
    openai-NAME              OpenAI's archives (TorchScript)   open_clip's code for OpenAI's names
    openai-state-NAME        their state_dict, with the scalars
    open_clip-NAME           open_clip's files and configuration
    hf-NAME, hf-chinese-NAME Hugging Face's files              transformers (requirements-hf.txt)
"""
import json
import pathlib
import tempfile

import torch

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

# The pairs of configuration files of cn_clip/clip/utils.py, _MODEL_INFO.
CHINESE = {
    "RN50": ("RN50", "RBT3-chinese"),
    "ViT-B-16": ("ViT-B-16", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-L-14": ("ViT-L-14", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-L-14-336": ("ViT-L-14-336", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-H-14": ("ViT-H-14", "RoBERTa-wwm-ext-large-chinese"),
}
CHINESE_TEXTS = [
    "杰尼龟", "一只皮卡丘的照片", "iPhone 13 Pro Max 手机壳", "the quick brown fox, 2023!",
    "在一个阳光明媚的早晨，孩子们在公园的草地上放风筝，老人们坐在长椅上聊天，远处的湖面波光粼粼，"
    "几只白鹭飞过。"]
ENGLISH_TEXTS = [
    "a diagram", "a photo of a cat", "iPhone 13 Pro Max phone case", "Schrödinger's cats, 2023!",
    "on a sunny morning children fly kites on the grass of the park, old people sit on benches and "
    "talk, the lake glitters in the distance and a few white egrets fly by, slowly, one by one, "
    "until the last of them has gone behind the hills and nothing moves any more but the water and "
    "the shadows of the clouds on the meadows at the other shore, and then not even those"]


class Original:
    """What a maker gives: a model with its functions, and how it is stored."""
    texts = ENGLISH_TEXTS
    tokenizer = "open-clip"
    half = False  # whether matrices are stored as f16
    options = ()  # of tuwen convert

    def transform(self):
        """The picture's way to `pixels`; None where it is not the original's own."""
        from open_clip import image_transform
        return image_transform(self.resolution, is_train=False, mean=MEAN, std=STD)

    def image(self, pixels):
        return self.model.encode_image(pixels)

    def text(self, ids):
        return self.model.encode_text(ids)


class Chinese(Original):
    texts, tokenizer = CHINESE_TEXTS, "wordpiece"

    def __init__(self, name):
        import cn_clip.clip as clip
        from cn_clip.clip import model as clip_model
        config = self.configuration(name)
        self.name, self.resolution = name, config["image_resolution"]
        self.model, self.module = clip_model.CLIP(**config), clip_model
        self.ids = clip.tokenize(self.texts)

    def configuration(self, name):
        import cn_clip.clip as clip
        folder, config = pathlib.Path(clip.__file__).parent / "model_configs", {}
        for part in CHINESE[name]:
            config.update(json.loads((folder / f"{part}.json").read_text()))
        if isinstance(config["vision_layers"], str):
            config["vision_layers"] = json.loads(config["vision_layers"])
        return config

    def transform(self):
        import cn_clip.clip as clip
        return clip.image_transform(self.resolution)

    def save(self, folder):
        state = {f"module.{name}": tensor for name, tensor in self.model.state_dict().items()}
        torch.save({"epoch": 3, "step": 1000, "name": f"random-{self.name}", "state_dict": state},
                   folder / "checkpoint.pt")
        return "checkpoint.pt"


class FineTuned(Chinese):
    """What a user's own training may leave."""

    def __init__(self, name):
        import cn_clip.clip.utils as utils
        from cn_clip.clip.bert_tokenizer import FullTokenizer
        lines = pathlib.Path(utils.__file__).with_name("vocab.txt").read_bytes().split(b"\n")
        self.vocab = b"\n".join(lines[:13000]) + b"\n"
        with tempfile.NamedTemporaryFile(suffix=".txt") as f:
            f.write(self.vocab)
            f.flush()
            utils._tokenizer = FullTokenizer(f.name)
        super().__init__(name)
        self.ids = utils.tokenize(self.texts, context_length=24)

    def configuration(self, name):
        config = super().configuration(name)
        return {**config, "vocab_size": 13000, "text_max_position_embeddings": 100,
                "text_num_hidden_layers": 3}

    def save(self, folder):
        (folder / "vocab.txt").write_bytes(self.vocab)
        self.options = ["--vocab", str(folder / "vocab.txt"), "--context-length", "24"]
        optimizer = torch.optim.AdamW(self.model.parameters())
        for p in self.model.parameters():
            optimizer.state[p] = {"step": torch.tensor(1.0), "exp_avg": torch.zeros_like(p)}
        torch.save({"epoch": 3, "step": 9, "name": self.name, "optimizer": optimizer.state_dict(),
                    "state_dict": self.model.state_dict()}, folder / "checkpoint.pt")
        return "checkpoint.pt"


class OpenClip(Original):
    """`-quickgelu` in the name, or open_clip's configuration of that name, tells the activation."""

    def __init__(self, name):
        import open_clip
        self.name = name
        self.config = open_clip.get_model_config(name)
        self.resolution = self.config["vision_cfg"]["image_size"]
        self.model = open_clip.create_model(name, pretrained=None, precision="fp32")
        self.module = None
        self.ids = open_clip.get_tokenizer(name)(self.texts)

    def save(self, folder):
        """What open_clip's push_to_hf_hub leaves; safetensors up to 8 GB, whose writer holds a
        second copy."""
        preprocess = {"mean": MEAN, "std": STD, "resize_mode": "shortest",
                      "interpolation": "bicubic"}
        (folder / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": self.config, "preprocess_cfg": preprocess}, indent=1))
        if sum(p.numel() for p in self.model.parameters()) > 2e9:
            torch.save(self.model.state_dict(), folder / "open_clip_pytorch_model.bin")
            return "open_clip_pytorch_model.bin"
        import safetensors.torch
        safetensors.torch.save_file(self.model.state_dict(),
                                    folder / "open_clip_model.safetensors")
        return "open_clip_model.safetensors"


class OpenAI(OpenClip):
    """open_clip's class has OpenAI's names and arithmetic; convert_weights leaves the files half."""
    tokenizer, half = "bpe", True

    def __init__(self, name):
        super().__init__(f"{name}-quickgelu")

    def add_scalars(self):
        for name, value in [("input_resolution", self.resolution), ("context_length", 77),
                            ("vocab_size", 49408)]:
            if hasattr(self.model, name):
                delattr(self.model, name)
            self.model.register_buffer(name, torch.tensor(value))

    def save(self, folder):
        """A TorchScript archive, as OpenAI's downloads are."""
        self.add_scalars()
        pixels = torch.zeros(1, 3, self.resolution, self.resolution)
        archive = torch.jit.trace(self.model, (pixels, self.ids[:1]), check_trace=False)
        parameters = dict(archive.named_parameters())
        for name in half_names(self.model):
            parameters[name].data = parameters[name].data.half()
        archive.save(str(folder / "checkpoint.pt"))
        return "checkpoint.pt"


class OpenAIState(OpenAI):
    def save(self, folder):
        self.add_scalars()
        names, state = half_names(self.model), self.model.state_dict()
        state = {n: t.half() if n in names else t for n, t in state.items()}
        torch.save(state, folder / "checkpoint.pt")
        return "checkpoint.pt"


def half_names(model):
    """What OpenAI's convert_weights makes half."""
    from torch import nn
    names = set()
    for prefix, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.MultiheadAttention)):
            names.update(f"{prefix}.{n}" for n, _ in module.named_parameters(recurse=False))
    names.update(n for n in ("text_projection", "visual.proj") if n in dict(model.named_parameters()))
    return names


# Sizes of Hugging Face's configurations, by the names of the originals.
HF_TOWERS = {
    "ViT-B-16": dict(patch_size=16, hidden_size=768, num_hidden_layers=12, num_attention_heads=12),
    "ViT-B-32": dict(patch_size=32, hidden_size=768, num_hidden_layers=12, num_attention_heads=12),
    "ViT-L-14": dict(patch_size=14, hidden_size=1024, num_hidden_layers=24,
                     num_attention_heads=16),
    "ViT-H-14": dict(patch_size=14, hidden_size=1280, num_hidden_layers=32,
                     num_attention_heads=16, hidden_act="gelu"),
}
HF_TEXTS = {  # hidden_size, layers, heads, projection_dim
    "ViT-B-16": (512, 12, 8, 512), "ViT-B-32": (512, 12, 8, 512), "ViT-L-14": (768, 12, 12, 768),
    "ViT-H-14": (1024, 24, 16, 1024),
}


class HuggingFace(Original):
    def __init__(self, name):
        from transformers import CLIPConfig, CLIPModel
        import open_clip
        width, layers, heads, projection = HF_TEXTS[name]
        vision = dict(HF_TOWERS[name])
        vision["intermediate_size"] = 4 * vision["hidden_size"]
        text = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                    intermediate_size=4 * width, hidden_act=vision.get("hidden_act", "quick_gelu"))
        self.model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision,
                                          projection_dim=projection))
        self.finish(open_clip.get_tokenizer("ViT-B-32")(self.texts))

    def finish(self, ids):
        self.resolution, self.module, self.ids = 224, None, ids
        self.model.set_attn_implementation("eager")

    def transform(self):
        return None  # their processors of today resize by torchvision, not by Pillow

    @staticmethod
    def features(output):
        return getattr(output, "pooler_output", output)

    def image(self, pixels):
        return self.features(self.model.get_image_features(pixel_values=pixels))

    def text(self, ids):
        return self.features(self.model.get_text_features(input_ids=ids))

    def save(self, folder):
        self.model.save_pretrained(folder, max_shard_size="20GB")
        return "model.safetensors"


class HuggingFaceChinese(HuggingFace):
    texts, tokenizer = CHINESE_TEXTS, "wordpiece"

    def __init__(self, name):
        from transformers import ChineseCLIPConfig, ChineseCLIPModel
        import cn_clip.clip as clip
        large = name == "ViT-H-14"
        vision = dict(HF_TOWERS[name], hidden_act="quick_gelu")
        vision["intermediate_size"] = 4 * vision["hidden_size"]
        width = 1024 if large else 768
        text = dict(vocab_size=21128, hidden_size=width, intermediate_size=4 * width,
                    num_hidden_layers=24 if large else 12, num_attention_heads=width // 64)
        self.model = ChineseCLIPModel(ChineseCLIPConfig(
            text_config=text, vision_config=vision, projection_dim=HF_TEXTS[name][3]))
        self.finish(clip.tokenize(self.texts))

    def text(self, ids):
        return self.features(self.model.get_text_features(
            input_ids=ids, attention_mask=(ids != 0).long()))


# Longest prefix first.
FAMILIES = {"fine-tuned-": FineTuned, "openai-state-": OpenAIState, "openai-": OpenAI,
            "open_clip-": OpenClip, "hf-chinese-": HuggingFaceChinese, "hf-": HuggingFace}


def build(arch):
    if arch in CHINESE:
        return Chinese(arch)
    for prefix, family in FAMILIES.items():
        if arch.startswith(prefix):
            return family(arch[len(prefix):])
    raise SystemExit(f"{arch}: none of {' '.join(CHINESE)}, {' '.join(p + 'NAME' for p in FAMILIES)}")
