using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.FeedForward;

namespace Trainer.Checkpoints.Gguf;

/// <summary>GPT-2. llama.cpp keeps our fused queries, keys and values as they are.</summary>
internal sealed class Gpt2Layout : GgufLayout
{
    public override string Architecture => "gpt2";

    public override string? Obstacle(ModelOptions model) => model.FeedForward is GeluTanhOptions ? null
        : $"model.feedForward.type is '{Registered.Name(typeof(FeedForwardOptions), model.FeedForward.GetType())}', and llama.cpp computes 'gelu-tanh' in its gpt2 models; use --format huggingface";

    public override void Describe(ModelOptions model, int vocabulary, Action<string, object?> add)
    {
        DescribeSizes(model, vocabulary, add);
        add("attention.layer_norm_epsilon", (float)model.Norm.Epsilon);
    }

    public override IEnumerable<WeightRule> Weights(ModelOptions model, int vocabulary) =>
    [
        Rules.Copy(Names.Embedding, "token_embd.weight", vocabulary, model.Dim),
        Rules.Copy(Names.Position, "position_embd.weight", model.ContextLength, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        .. Parts.Norm(Names.Norm, "output_norm", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [Rules.Copy(Names.Head, "output.weight", vocabulary, model.Dim)],
    ];

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string theirs = $"blk.{layer}.";
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. Parts.Norm(Names.Block(layer, Names.MixerNorm), theirs + "attn_norm", dim, true),
            .. Parts.Linear(Names.Block(layer, "mixer.projection.qkv"), theirs + "attn_qkv", 3 * dim, dim, true),
            .. Parts.Linear(Names.Block(layer, "mixer.output"), theirs + "attn_output", dim, dim, true),
            .. Parts.Norm(Names.Block(layer, Names.FeedForwardNorm), theirs + "ffn_norm", dim, true),
            .. Parts.Linear(Names.Block(layer, "feedForward.up"), theirs + "ffn_up", width, dim, true),
            .. Parts.Linear(Names.Block(layer, "feedForward.down"), theirs + "ffn_down", dim, width, true),
        ];
    }
}
