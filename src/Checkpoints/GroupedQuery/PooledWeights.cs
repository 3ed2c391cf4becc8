using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.GroupedQuery;

/// <summary>A model's weights with its key and value heads pooled, one tensor at a time.</summary>
/// <remarks>Heads are pooled before positions turn them, so that any layout of rotary positions is one.</remarks>
public sealed class PooledWeights : IWeightSource
{
    private readonly IWeightSource source;
    private readonly HeadPool pool;
    private readonly long seed;
    private readonly Dictionary<string, (HeadRows Rows, int Number)> pooled = [];

    /// <summary>Finds the tensors to pool.</summary>
    /// <param name="source">The weights of a model; open while this is used.</param>
    /// <param name="model">That model.</param>
    /// <param name="keyValueHeads">Key-value heads afterwards; <see cref="GroupedQueryModel.Problems"/> has none.</param>
    /// <param name="pool">What becomes of heads that are to be one.</param>
    /// <param name="seed">Draws random heads.</param>
    public PooledWeights(IWeightSource source, ModelOptions model, int keyValueHeads, HeadPool pool, long seed)
    {
        (this.source, this.pool, this.seed) = (source, pool, seed);
        foreach ((string name, HeadRows rows) in Matrices(model, keyValueHeads))
        {
            foreach (string tensor in (string[])[$"{name}.weight", $"{name}.bias"])
                if (source.Names.Contains(tensor)) pooled.Add(tensor, (rows, pooled.Count));
        }
    }

    /// <inheritdoc/>
    public string Location => source.Location;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => source.Names;

    /// <summary>Tensors that are made smaller.</summary>
    public int Pooled => pooled.Count;

    /// <inheritdoc/>
    public SafetensorsInfo Info(string name)
    {
        SafetensorsInfo info = source.Info(name);
        return pooled.TryGetValue(name, out var place)
            ? info with { Shape = [place.Rows.Count, .. info.Shape.Skip(1)], Length = info.Length / info.Shape[0] * place.Rows.Count }
            : info;
    }

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        if (!pooled.TryGetValue(name, out var place)) return source.Read(name);
        using DisposeScope scope = NewDisposeScope();
        // Each tensor has numbers of its own, in whatever order they are read.
        ulong key = unchecked((ulong)seed * 0x9E3779B97F4A7C15 + (ulong)place.Number);
        return place.Rows.Pool(source.Read(name), pool, key).MoveToOuterDisposeScope();
    }

    private static IEnumerable<(string Name, HeadRows Rows)> Matrices(ModelOptions model, int keyValueHeads)
    {
        StackOptions decoder = model.Stacks.Single(stack => stack.Role == StackOptions.Decoder);
        string prefix = model.Stacks.Count == 1 ? "" : $"{decoder.Role}.";
        for (int layer = 0; layer < decoder.Layers.Count; layer++)
        {
            if (Heads(decoder.Layers[layer].Attention) is { } own)
                yield return ($"{prefix}blocks.{layer}.mixer.projection.qkv", Rows(own, own.Heads * own.HeadWidth(model.Dim)));
            if (Heads(decoder.Layers[layer].Cross) is { } cross)
                yield return ($"{prefix}blocks.{layer}.cross.projection.keyValue", Rows(cross, queries: 0));
        }

        HeadProjectionOptions? Heads(AttentionOptions? attention) => attention is HeadProjectionOptions heads && heads.Groups != keyValueHeads ? heads : null;
        HeadRows Rows(HeadProjectionOptions heads, int queries) => new(queries, heads.Groups, keyValueHeads, heads.HeadWidth(model.Dim));
    }
}
