using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Adapters;

/// <summary>Few weights that are trained in place of a model's own, which stay as they are.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LoraOptions), "lora")]
public abstract record AdapterOptions : IValidated
{
    /// <summary>Which linear layers of blocks get an adapter; null for all of attention.</summary>
    [Description("The linear layers that get an adapter: the end of a name, such as query or feedForward.up, or a pattern of a whole " +
        "name, such as blocks.3.*; by default all of attention.")]
    [MinLength(1)]
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>Modules that are trained in full beside the adapters; null for none.</summary>
    [Description("Modules that are trained in full beside the adapters, named in the same way: embedding, head, norm; by default none.")]
    public IReadOnlyList<string>? Train { get; init; }

    /// <summary>The number format in which matrices of blocks stay that are not trained.</summary>
    [Description("The number format in which the matrices of blocks stay, which are not trained: bfloat16 takes half of float32's " +
        "memory, int8 (blocks of 8 bits, on CPUs) about a quarter, for the time to unpack them.")]
    public FrozenFormat BaseWeights { get; init; }

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate()
    {
        foreach ((string path, IReadOnlyList<string> names) in new[] { ("targets", Targets ?? []), ("train", Train ?? []) })
            for (int i = 0; i < names.Count; i++)
                if (string.IsNullOrWhiteSpace(names[i]))
                    yield return new($"{path}.{i}", "is empty; give a name or a pattern, or leave it out");
    }
}

/// <summary>A number format of weights that are not trained.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FrozenFormat>))]
public enum FrozenFormat
{
    /// <summary>As they were trained.</summary>
    [JsonStringEnumMemberName("float32")]
    Float32,

    /// <summary>Rounded to bfloat16.</summary>
    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,

    /// <summary>Blocks of 32 numbers of 8 bits with a scale, as GGUF's Q8_0.</summary>
    [JsonStringEnumMemberName("int8")]
    Int8,
}

/// <summary>Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): W + s·B·A in place of W, and only A and B are trained.</summary>
public sealed record LoraOptions : AdapterOptions
{
    /// <summary>Rows of A and columns of B, r.</summary>
    [Description("The rank of what is added to a matrix; it may not be more than the matrix's own.")]
    [Range(1, 1 << 16)]
    public int Rank { get; init; } = 8;

    /// <summary>What is added is multiplied by alpha / rank.</summary>
    [Description("What is added is multiplied by alpha / rank, or with rankStabilized by alpha / √rank.")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double Alpha { get; init; } = 16;

    /// <summary>The share of the numbers that A reads which dropout sets to zero.</summary>
    [Description("The share of the inputs of adapters, and of nothing else, that dropout sets to zero.")]
    [Range(0.0, 0.99)]
    public double Dropout { get; init; }

    /// <summary>Whether the factor is alpha / √rank (Kalajdzievski 2023, arXiv 2312.03732).</summary>
    [Description("Whether the factor is alpha / √rank, so that large ranks learn as fast (rsLoRA).")]
    public bool RankStabilized { get; init; }

    /// <summary>Whether length and direction of each row are learned apart (DoRA, Liu et al. 2024, arXiv 2402.09353).</summary>
    [Description("Whether the length of each row of a matrix is learned apart from its direction, which the adapter changes (DoRA).")]
    public bool WeightDecomposed { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (WeightDecomposed && BaseWeights != FrozenFormat.Float32)
            yield return new("baseWeights", $"is {(BaseWeights == FrozenFormat.Int8 ? "int8" : "bfloat16")}, and weightDecomposed takes " +
                "the lengths of the base's rows in every pass; set it to float32, or weightDecomposed to false");
    }

    /// <summary>The factor s on B·A.</summary>
    internal double Scale => Alpha / (RankStabilized ? Math.Sqrt(Rank) : Rank);
}
