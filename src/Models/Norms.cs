// Shapes: B batch, T positions, C model dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The norms. A new kind is a record, a module and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LayerNormOptions), "layer")]
[JsonDerivedType(typeof(RmsNormOptions), "rms")]
public abstract record NormOptions : IValidated
{
    /// <summary>Where the norms of a block are.</summary>
    [Description(
        "Where in a block the norms stand: pre normalises what each branch reads, post the stream after each branch, sandwich what " +
        "each branch reads and adds.")]
    public NormPlacement Placement { get; init; } = NormPlacement.Pre;

    /// <summary>ε, added to the variance.</summary>
    [Description("Added to the variance, so that it is never 0.")]
    [Range(0.0, 1.0)]
    public double Epsilon { get; init; } = 1e-5;

    internal bool EndsStream => Placement != NormPlacement.Post;

    internal int PerBranch => Placement == NormPlacement.Sandwich ? 2 : 1;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    internal abstract PartCost Cost(long width, bool bias);

    /// <summary>A norm over the last dimension; <paramref name="readRounded"/> if its readers round it to bfloat16.</summary>
    internal abstract Norm Build(int width, bool bias, bool readRounded = false);
}

/// <summary>Where the norms of a <see cref="Block"/> are.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<NormPlacement>))]
public enum NormPlacement
{
    /// <summary>x + branch(norm(x)), with one norm after the last block (GPT-2, Llama).</summary>
    [JsonStringEnumMemberName("pre")]
    Pre,

    /// <summary>norm(x + branch(x)), none after the last block (Vaswani et al. 2017, BERT).</summary>
    [JsonStringEnumMemberName("post")]
    Post,

    /// <summary>x + norm(branch(norm(x))), with one norm after the last block (Gemma 2).</summary>
    [JsonStringEnumMemberName("sandwich")]
    Sandwich,
}

/// <summary>A norm of the residual stream, in float32 whatever the input's type.</summary>
internal abstract class Norm(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>Whether readers round the norm, so that it may be written in bfloat16.</summary>
    public bool ReadRounded { get; init; }

    /// <summary>Adds a branch to the stream, and norms the sum for the next branch; all (B, T, C).</summary>
    public abstract (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch);

    protected bool Rounds(Tensor x) => ReadRounded && x.device_type == DeviceType.CPU;
}

/// <summary>Root-mean-square norm: x / √(mean(x²) + ε) · weight (Zhang and Sennrich 2019, arXiv 1910.07467). Never a bias.</summary>
public sealed record RmsNormOptions : NormOptions
{
    internal override PartCost Cost(long width, bool bias) => new(width, 0);

    internal override Norm Build(int width, bool bias, bool readRounded = false) =>
        new RmsNormModule(width, Epsilon) { ReadRounded = readRounded };
}

internal sealed class RmsNormModule : Norm
{
    private readonly double epsilon;
    private readonly Parameter weight;

    public RmsNormModule(int width, double epsilon)
        : base(nameof(RmsNormModule))
    {
        this.epsilon = epsilon;
        weight = new Parameter(ones(width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Normalization.RmsNorm(x.to_type(ScalarType.Float32), weight, epsilon, Rounds(x));

    public override (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch) =>
        Normalization.AddRmsNorm(x.to_type(ScalarType.Float32), branch.to_type(ScalarType.Float32), weight, epsilon, Rounds(x));
}

/// <summary>Layer norm: (x − mean) / deviation · weight + bias (Ba et al. 2016, arXiv 1607.06450).</summary>
public sealed record LayerNormOptions : NormOptions
{
    internal override PartCost Cost(long width, bool bias) => new(bias ? 2 * width : width, 0);

    internal override Norm Build(int width, bool bias, bool readRounded = false) =>
        new LayerNormModule(width, bias, Epsilon) { ReadRounded = readRounded };
}

internal sealed class LayerNormModule : Norm
{
    private readonly double epsilon;
    private readonly Parameter weight;
    private readonly Parameter? bias;

    public LayerNormModule(int width, bool bias, double epsilon)
        : base(nameof(LayerNormModule))
    {
        this.epsilon = epsilon;
        weight = new Parameter(ones(width));
        this.bias = bias ? new Parameter(zeros(width)) : null;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Normalization.LayerNorm(x.to_type(ScalarType.Float32), weight, bias, epsilon, Rounds(x));

    public override (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch) =>
        Normalization.AddLayerNorm(x.to_type(ScalarType.Float32), branch.to_type(ScalarType.Float32), weight, bias, epsilon, Rounds(x));
}
