using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using F = TorchSharp.torch.nn.functional;

namespace Stock;

/// <summary>How a model computes.</summary>
public enum Precision
{
    /// <summary>Everything in float32.</summary>
    Float32,

    /// <summary>The whole model, and so AdamW's state, in bfloat16.</summary>
    Bfloat16,

    /// <summary>Parameters in float32, products and attention in bfloat16: by hand, since TorchSharp 0.107 has no autocast.</summary>
    Mixed,
}

/// <summary>The shape of a model: V tokens of C dimensions in H heads, up to T positions.</summary>
public sealed record GptShape(int Layers, int Heads, int Dim, int Context, int Vocabulary);

/// <summary>Keys and values of the positions so far, (B, H, T, D) each; null before the first.</summary>
public sealed class KeyValueCache(int layers) : IDisposable
{
    private readonly (Tensor Key, Tensor Value)?[] kept = new (Tensor, Tensor)?[layers];

    /// <summary>How many positions are kept.</summary>
    public long Length => kept[0]?.Key.shape[2] ?? 0;

    /// <summary>Keeps some positions more of a layer and returns all of them.</summary>
    public (Tensor Key, Tensor Value) Append(int layer, Tensor key, Tensor value)
    {
        var all = kept[layer] is { } past ? (cat([past.Key, key], 2), cat([past.Value, value], 2)) : (key.alias(), value.alias());
        Free(layer);
        kept[layer] = (all.Item1.DetachFromDisposeScope(), all.Item2.DetachFromDisposeScope());
        return all;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (var layer = 0; layer < kept.Length; layer++) Free(layer);
    }

    private void Free(int layer)
    {
        kept[layer]?.Key.Dispose();
        kept[layer]?.Value.Dispose();
    }
}

/// <summary>A linear layer without bias.</summary>
internal sealed class Projection : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly bool mixed;

    public Projection(long inputs, long outputs, double deviation, bool mixed) : base(nameof(Projection))
    {
        weight = new Parameter(empty(outputs, inputs));
        init.normal_(weight, 0, deviation);
        this.mixed = mixed;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Multiply(x, weight, mixed);

    internal static Tensor Multiply(Tensor x, Tensor weight, bool mixed) =>
        mixed ? F.linear(x.to(bfloat16), weight.to(bfloat16)) : F.linear(x, weight);
}

/// <summary>Attention and feed-forward, each behind a norm and added to what came in.</summary>
internal sealed class Block : Module<Tensor, Tensor>
{
    private readonly LayerNorm attentionNorm, feedForwardNorm;
    private readonly Projection qkv, output, up, down;
    private readonly int heads, layer;

    public Block(GptShape shape, int layer, bool mixed) : base(nameof(Block))
    {
        var (dim, deviation, last) = (shape.Dim, 0.02, 0.02 / Math.Sqrt(2 * shape.Layers));
        (heads, this.layer) = (shape.Heads, layer);
        attentionNorm = LayerNorm(dim, bias: false);
        qkv = new Projection(dim, 3 * dim, deviation, mixed);
        output = new Projection(dim, dim, last, mixed);
        feedForwardNorm = LayerNorm(dim, bias: false);
        up = new Projection(dim, 4 * dim, deviation, mixed);
        down = new Projection(4 * dim, dim, last, mixed);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Forward(x, null);

    // x: (B, T, C). What is computed on the way is freed here, unless the backward pass needs it.
    internal Tensor Forward(Tensor x, KeyValueCache? cache)
    {
        using var scope = NewDisposeScope();
        x = x + Attend(attentionNorm.forward(x), cache);
        x = x + down.forward(F.gelu(up.forward(feedForwardNorm.forward(x))));
        return x.MoveToOuterDisposeScope();
    }

    private Tensor Attend(Tensor x, KeyValueCache? cache)
    {
        var (batch, length, dim) = (x.shape[0], x.shape[1], x.shape[2]);
        var parts = qkv.forward(x).split(dim, 2)
            .Select(part => part.view(batch, length, heads, dim / heads).transpose(1, 2)).ToArray(); // (B, H, T, D) each
        var (key, value) = cache?.Append(layer, parts[1], parts[2]) ?? (parts[1], parts[2]);
        // The tokens of a prompt see those before them; a single one sees all.
        var y = F.scaled_dot_product_attention(parts[0], key, value, is_casual: length > 1);
        return output.forward(y.transpose(1, 2).contiguous().view(batch, length, dim));
    }
}

/// <summary>nanoGPT's model: learned positions, norm before each layer, no biases, exact GELU, the head tied to the tokens.</summary>
public sealed class Gpt : Module<Tensor, Tensor>
{
    private readonly Embedding tokens, positions;
    private readonly ModuleList<Block> blocks;
    private readonly LayerNorm norm;
    private readonly bool mixed;

    /// <summary>Makes a model with random weights.</summary>
    public Gpt(GptShape shape, Precision precision) : base(nameof(Gpt))
    {
        mixed = precision == Precision.Mixed;
        tokens = Embedding(shape.Vocabulary, shape.Dim);
        positions = Embedding(shape.Context, shape.Dim);
        init.normal_(tokens.weight, 0, 0.02);
        init.normal_(positions.weight, 0, 0.02);
        blocks = ModuleList([.. Enumerable.Range(0, shape.Layers).Select(layer => new Block(shape, layer, mixed))]);
        norm = LayerNorm(shape.Dim, bias: false);
        RegisterComponents();
        if (precision == Precision.Bfloat16) this.to(bfloat16);
    }

    /// <summary>Logits in float32 of every position, (B, T, V).</summary>
    public override Tensor forward(Tensor ids) => Head(Hidden(ids, null)).to(float32);

    /// <summary>Logits of the last position, (B, V), behind those of the cache.</summary>
    public Tensor NextLogits(Tensor ids, KeyValueCache cache) => Head(Hidden(ids, cache).select(1, -1));

    // ids: (B, T) → (B, T, C)
    private Tensor Hidden(Tensor ids, KeyValueCache? cache)
    {
        var past = cache?.Length ?? 0;
        var x = tokens.forward(ids) + positions.forward(arange(past, past + ids.shape[1]));
        foreach (var block in blocks) x = block.Forward(x, cache);
        return norm.forward(x);
    }

    private Tensor Head(Tensor x) => Projection.Multiply(x, tokens.weight!, mixed);
}
