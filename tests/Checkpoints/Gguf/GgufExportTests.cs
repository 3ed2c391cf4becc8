using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Gguf;

/// <summary>What llama.cpp reads, checked with a reader that knows the specification alone.</summary>
public sealed class GgufExportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_settings_of_llama_are_there()
    {
        Dictionary<string, object> metadata = Export("llama").Metadata;
        Assert.Equal("llama", metadata["general.architecture"]);
        Assert.Equal(
            "vocab_size 40, context_length 64, embedding_length 32, block_count 2, feed_forward_length 48, attention.head_count 4, " +
                "attention.head_count_kv 2, "
            + "attention.key_length 8, attention.value_length 8, attention.layer_norm_rms_epsilon 1E-06, rope.dimension_count 8, " +
                "rope.freq_base 10000",
            string.Join(
                ", ",
                metadata.Where(entry => entry.Key.StartsWith("llama.")).Select(
                    entry => FormattableString.Invariant($"{entry.Key["llama.".Length..]} {entry.Value}"))));
    }

    // Row 2i of a head is dimension i, row 2i + 1 is dimension i + D/2, as llama.cpp's own converter has them.
    [Theory]
    [InlineData("q", 4)]
    [InlineData("k", 2)]
    public void Queries_and_keys_of_llama_lie_in_neighbouring_pairs_head_by_head(string name, int heads)
    {
        using DisposeScope scope = NewDisposeScope();
        GgufReader file = Export("llama");
        using WeightFiles source = WeightFiles.OpenDirectory(Goldens.PathOf("llama"));
        float[] expected = source.Read($"model.layers.1.self_attn.{name}_proj.weight").data<float>().ToArray();
        float[] actual = file.Tensors[$"blk.1.attn_{name}.weight"].Numbers;
        for (int head = 0; head < heads; head++)
        for (int row = 0; row < 8; row++)
        {
            int from = head * 8 + row / 2 + row % 2 * 4;
            Assert.Equal(expected[(from * 32)..(from * 32 + 32)], actual[((head * 8 + row) * 32)..((head * 8 + row) * 32 + 32)]);
        }
    }

    [Fact]
    public void Values_and_matrices_of_llama_lie_as_they_did()
    {
        using DisposeScope scope = NewDisposeScope();
        GgufReader file = Export("llama");
        using WeightFiles source = WeightFiles.OpenDirectory(Goldens.PathOf("llama"));
        Same(source.Read("model.layers.1.self_attn.v_proj.weight"), file.Tensors["blk.1.attn_v.weight"]);
        Same(source.Read("model.layers.0.mlp.up_proj.weight"), file.Tensors["blk.0.ffn_up.weight"]);
        Same(source.Read("lm_head.weight"), file.Tensors["output.weight"]);
    }

    [Fact]
    public void Qwen_keeps_its_halves_and_its_biases()
    {
        using DisposeScope scope = NewDisposeScope();
        GgufReader file = Export("qwen2");
        using WeightFiles source = WeightFiles.OpenDirectory(Goldens.PathOf("qwen2"));
        Same(source.Read("model.layers.0.self_attn.q_proj.weight"), file.Tensors["blk.0.attn_q.weight"]);
        Same(source.Read("model.layers.0.self_attn.k_proj.bias"), file.Tensors["blk.0.attn_k.bias"]);
        Assert.DoesNotContain("output.weight", file.Tensors.Keys); // tied: llama.cpp takes the embedding
    }

    [Theory]
    [InlineData(GgufType.F32, 0u, 0)]
    [InlineData(GgufType.F16, 1u, 5e-4)]
    [InlineData(GgufType.BF16, 30u, 4e-3)]
    [InlineData(GgufType.Q8_0, 8u, 4e-3)]
    public void Matrices_have_the_type_asked_for_and_vectors_are_float32(GgufType type, uint code, double tolerance)
    {
        using DisposeScope scope = NewDisposeScope();
        GgufReader exact = Export("qwen2"), file = Export("qwen2", type, except48: true);
        Assert.Equal(code, file.Tensors["blk.0.attn_q.weight"].Type);
        Assert.Equal(0u, file.Tensors["blk.0.attn_norm.weight"].Type);
        Assert.Equal(0u, file.Tensors["blk.0.attn_q.bias"].Type);
        float[] expected = exact.Tensors["blk.0.attn_q.weight"].Numbers, actual = file.Tensors["blk.0.attn_q.weight"].Numbers;
        TensorAssert.Equal(expected, actual, tolerance * expected.Max(Math.Abs) + 1e-12);
    }

    [Fact]
    public void Blocks_are_those_of_ggml_bit_for_bit()
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "q8_0", "blocks.safetensors"));
        using Tensor numbers = file.Read("numbers"), blocks = file.Read("blocks");
        using Tensor packed = BlockQuantization.Pack(numbers);
        Assert.Equal(blocks.data<byte>().ToArray(), packed.bytes.ToArray());
    }

    [Fact]
    public void Rows_that_blocks_do_not_divide_are_refused() =>
        Assert.Equal("blk.0.ffn_down.weight has rows of 48 numbers, which blocks of 32 do not divide; use --type f16",
            Assert.Throws<UserException>(() => Export("llama", GgufType.Q8_0)).Message);

    [Fact]
    public void A_folder_that_cannot_be_made_is_named()
    {
        File.WriteAllText(folder.PathOf("taken"), "");
        HuggingFaceImport.Run(Goldens.PathOf("llama"), folder.PathOf("ours"), _ => { });
        string path = Path.Combine(folder.PathOf("taken"), "model.gguf");
        Assert.StartsWith($"{path}: it cannot be written", Assert.Throws<UserException>(
            () => CheckpointExport.Gguf(folder.PathOf("ours"), path, GgufType.F32)).Message);
    }

    [Fact]
    public void A_family_that_llama_cpp_gets_otherwise_is_refused() =>
        Assert.StartsWith("GGUF is written for llama, mistral, ", Assert.Throws<UserException>(() => Export("bert")).Message);

    [Fact]
    public void A_byte_pair_tokenizer_is_there_whole()
    {
        JsonObject json = Bpe();
        Dictionary<string, object> metadata = Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test")).Metadata;
        Assert.Equal("gpt2", metadata["tokenizer.ggml.model"]);
        Assert.Equal("gpt-2", metadata["tokenizer.ggml.pre"]);
        Assert.Equal(
            ["<|end|>", "a", "b", "c", "ab", "abc", .. Enumerable.Range(6, 34).Select(id => $"[PAD{id}]")],
            (object[])metadata["tokenizer.ggml.tokens"]);
        Assert.Equal([3, 1, 1, 1, 1, 1, .. Enumerable.Repeat<object>(5, 34)], (object[])metadata["tokenizer.ggml.token_type"]);
        Assert.Equal(["a b", "ab c"], (object[])metadata["tokenizer.ggml.merges"]);
        Assert.Equal(2u, metadata["tokenizer.ggml.eos_token_id"]); // from config.json
        Assert.Equal(false, metadata["tokenizer.ggml.add_bos_token"]);
    }

    [Fact]
    public void A_template_that_begins_with_the_first_token_makes_llama_cpp_add_it()
    {
        JsonObject json = Bpe();
        json["post_processor"] = JsonNode.Parse("""
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
             "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"a":{"id":"a","ids":[1],"tokens":["a"]}}}
            """);
        Dictionary<string, object> metadata = Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test")).Metadata;
        Assert.Equal(1u, metadata["tokenizer.ggml.bos_token_id"]);
        Assert.Equal(true, metadata["tokenizer.ggml.add_bos_token"]);
    }

    [Fact]
    public void A_pre_tokenizer_that_llama_cpp_lacks_is_refused()
    {
        JsonObject json = Bpe();
        json["pre_tokenizer"] = JsonNode.Parse("""{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]}""");
        Assert.StartsWith("llama.cpp cuts text in the ways of gpt-2, llama-bpe, qwen2, gpt-4o, and this tokenizer in another (",
            Assert.Throws<UserException>(() => Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test"))).Message);
    }

    [Fact]
    public void A_tokenizer_that_changes_text_is_refused()
    {
        JsonObject json = Bpe();
        json["normalizer"] = JsonNode.Parse("""{"type":"Lowercase"}""");
        Assert.Equal("""llama.cpp cuts text as it stands, and this tokenizer changes it before ({"type":"Lowercase"}); it would give other tokens, so no GGUF is written""",
            Assert.Throws<UserException>(() => Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test"))).Message);
        json["normalizer"] = JsonNode.Parse("""{"type":"NFC"}""");
        Assert.Equal("gpt-2", Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test")).Metadata["tokenizer.ggml.pre"]);
    }

    [Fact]
    public void A_window_is_written_where_it_hides_nothing()
    {
        Assert.StartsWith(
            "model.attention.pattern is 'sliding', and llama.cpp computes full causal attention",
            Assert.Throws<UserException>(() => Export("mistral")).Message);
        Assert.Equal(
            "llama",
            Export("mistral", change: model =>
                model with { Attention =
                model.Attention with { Pattern = new SlidingOptions { Window = 64 } } }).Metadata["general.architecture"]);
    }

    [Fact]
    public void What_llama_cpp_would_compute_otherwise_is_refused()
    {
        Assert.Equal("model.feedForward.type is 'relu', and llama.cpp computes 'gelu-tanh' in its gpt2 models; use --format huggingface",
            Assert.Throws<UserException>(() => Export(
                "gpt2", change: model => model with { FeedForward = new ReluOptions { HiddenDim = model.FeedForward.HiddenDim } })).Message);
        Assert.Equal("model.attention.outputBias is true, and llama.cpp has none in its qwen3 models; use --format huggingface",
            Assert.Throws<UserException>(() => Export(
                "qwen3", change: model => model with { Attention = model.Attention with { Bias = true, OutputBias = true } })).Message);
    }

    [Fact]
    public void Biases_of_llama_s_feed_forward_layers_are_there()
    {
        using HuggingFaceImport llama = Goldens.Open("llama");
        ModelOptions biased = llama.Options with { FeedForward = llama.Options.FeedForward with { Bias = true } };
        NamedShape[] tensors = [.. new LlamaLayout("llama", interleaved: true).Weights(biased, 40).SelectMany(rule => rule.External)];
        foreach ((string part, long width) in new[] { ("gate", 48L), ("up", 48L), ("down", 32L) })
            Assert.Equal([width], tensors.Single(tensor => tensor.Name == $"blk.1.ffn_{part}.bias").Shape);
    }

    [Fact]
    public void Pieces_with_bytes_are_llamas_own_kind_with_scores_by_rank()
    {
        JsonObject json = (JsonObject)JsonNode.Parse("""
            {"version":"1.0","added_tokens":[{"id":0,"content":"<unk>","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],
             "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
             "pre_tokenizer":null,"post_processor":null,"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]},
             "model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{"<unk>":0,"<0x41>":1,"▁":2,"a":3,"b":4,"▁a":5,"▁ab":6},"merges":[["▁","a"],["▁a","b"]]}}
            """)!;
        Dictionary<string, object> metadata = Export("llama", tokenizer: HuggingFaceTokenizer.Parse(json, "test")).Metadata;
        Assert.Equal("llama", metadata["tokenizer.ggml.model"]);
        Assert.Equal([2, 6, 1, 1, 1, 1, 1], ((object[])metadata["tokenizer.ggml.token_type"])[..7]);
        Assert.Equal([0f, -1f], ((object[])metadata["tokenizer.ggml.scores"])[5..7]);
        Assert.True((float)((object[])metadata["tokenizer.ggml.scores"])[3] < -1);
        Assert.Equal(true, metadata["tokenizer.ggml.add_space_prefix"]);
        Assert.Equal(0u, metadata["tokenizer.ggml.unknown_token_id"]);
    }

    private GgufReader Export(
        string fixture, GgufType type = GgufType.F32, Tokenizer? tokenizer = null, bool except48 = false,
        Func<ModelOptions, ModelOptions>? change = null) =>
        ExportedFixture.Of(folder, fixture, type, tokenizer, except48, change);

    private static void Same(Tensor expected, GgufEntry actual)
    {
        Assert.Equal(expected.shape, actual.Shape);
        Assert.Equal(expected.data<float>().ToArray(), actual.Numbers);
    }

    private static JsonObject Bpe() => (JsonObject)JsonNode.Parse("""
        {"version":"1.0","added_tokens":[{"id":0,"content":"<|end|>","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],
         "normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":null,
         "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
         "model":{"type":"BPE","unk_token":null,"vocab":{"a":1,"b":2,"c":3,"ab":4,"abc":5},"merges":["a b","ab c"]}}
        """)!;
}
