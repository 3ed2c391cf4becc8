using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.FeedForward;

namespace Trainer.Checkpoints.Gguf;

/// <summary>llama.cpp's settings and tensors of a family. A new one is a subclass and a line in the table below.</summary>
internal abstract class GgufLayout
{
    // By the name of the Hugging Face family.
    private static readonly IReadOnlyDictionary<string, GgufLayout> ByFamily = new Dictionary<string, GgufLayout>
    {
        ["llama"] = new LlamaLayout("llama", interleaved: true),
        ["mistral"] = new LlamaLayout("llama", interleaved: true),
        ["mixtral"] = new LlamaLayout("llama", interleaved: true),
        ["qwen2"] = new LlamaLayout("qwen2", interleaved: false),
        ["qwen3"] = new LlamaLayout("qwen3", interleaved: false),
        ["gpt2"] = new Gpt2Layout(),
    };

    public static GgufLayout Of(string family) => ByFamily.TryGetValue(family, out GgufLayout? layout)
        ? layout
        : throw new UserException(
            $"GGUF is written for {string.Join(", ", ByFamily.Keys)}, and this model is of the family {family}; use --format huggingface");

    /// <summary>llama.cpp's name, <c>general.architecture</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>What llama.cpp cannot compute of this model, or null.</summary>
    public virtual string? WhyUnsupported(ModelOptions model) => null;

    public abstract void Describe(ModelOptions model, int vocabulary, Action<string, object?> add);

    public abstract IEnumerable<WeightRule> Weights(ModelOptions model, int vocabulary);

    /// <summary>Whether llama.cpp wants a matrix in float32 whatever the type of the others.</summary>
    public virtual bool StaysFloat32(string tensor) =>
        tensor.EndsWith("ffn_gate_inp.weight", StringComparison.Ordinal) || tensor is "position_embd.weight" or "rope_freqs.weight";

    protected static void DescribeSizes(ModelOptions model, int vocabulary, Action<string, object?> add)
    {
        HeadShape shape = HeadShape.Of(model);
        add("vocab_size", vocabulary);
        add("context_length", model.ContextLength);
        add("embedding_length", model.Dim);
        add("block_count", model.Layers);
        add("feed_forward_length", model.FeedForward.Width(model.Dim));
        add("attention.head_count", shape.Heads);
        add("attention.head_count_kv", shape.Groups);
    }
}

/// <summary>GPT-2, whose fused queries, keys and values llama.cpp lays out as here.</summary>
internal sealed class Gpt2Layout : GgufLayout
{
    public override string Architecture => "gpt2";

    public override string? WhyUnsupported(ModelOptions model)
    {
        if (model.FeedForward is GeluTanhOptions) return null;
        string type = Registered.Name(typeof(FeedForwardOptions), model.FeedForward.GetType());
        return $"model.feedForward.type is '{type}', and llama.cpp computes 'gelu-tanh' in its gpt2 models; use --format huggingface";
    }

    public override void Describe(ModelOptions model, int vocabulary, Action<string, object?> add)
    {
        DescribeSizes(model, vocabulary, add);
        add("attention.layer_norm_epsilon", (float)model.Norm.Epsilon);
    }

    public override IEnumerable<WeightRule> Weights(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "token_embd.weight", vocabulary, model.Dim),
        WeightRule.Copy(ModuleNames.Position, "position_embd.weight", model.ContextLength, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        .. LayerRules.Norm(ModuleNames.Norm, "output_norm", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "output.weight", vocabulary, model.Dim)],
    ];

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string prefix = $"blk.{layer}.";
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "attn_norm", dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "mixer.projection.qkv"), prefix + "attn_qkv", 3 * dim, dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "mixer.output"), prefix + "attn_output", dim, dim, true),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "ffn_norm", dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.up"), prefix + "ffn_up", width, dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.down"), prefix + "ffn_down", dim, width, true),
        ];
    }
}
