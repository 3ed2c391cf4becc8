// Shapes: B batch, N patches, P values of a patch, L values read, F values forecast, V variables.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models.Patches;

/// <summary>Shifts and scales stretches of a series, and forecasts back (RevIN, Kim et al. 2022).</summary>
/// <remarks>In an encoder by mean and deviation of the whole stretch. In a decoder these would tell a patch of what follows it, so each has
/// mean and deviation of all values up to its end: known to it, never made large by a constant beginning, as those of the first patch alone
/// (TimesFM) are, and at the last patch those of the whole stretch.</remarks>
internal sealed class InstanceNorm : nn.Module
{
    // Added to the variance of a stretch that is constant, and its square to the factor that is divided by (RevIN's own figures).
    private const double Epsilon = 1e-5;

    private readonly SeriesPatchOptions series;
    private readonly bool causal;
    private readonly Parameter? weight; // (V)
    private readonly Parameter? bias;

    public InstanceNorm(SeriesPatchOptions series, bool causal)
        : base(nameof(InstanceNorm))
    {
        (this.series, this.causal) = (series, causal);
        if (series.AffineVariables is { } variables)
            (weight, bias) = (new Parameter(ones(variables)), new Parameter(zeros(variables)));
        RegisterComponents();
    }

    public static PartCost Cost(PatchOptions patches) =>
        new(patches is SeriesPatchOptions { AffineVariables: { } variables } ? 2 * variables : 0, 0);

    /// <summary>How the rows of an input are shifted and scaled.</summary>
    public InstanceScale Of(ModelInput input)
    {
        InstanceScale scale = causal ? Running(input.Values!) : Whole(input.Values!);
        if (weight is null) return scale;
        Tensor variables = input.Variables
            ?? throw new ArgumentException("A model with weights of variables needs the variable of each row.", nameof(input));
        Tensor Rows(Parameter of) => of.index_select(0, variables).view(-1, 1, 1); // (V) → (B, 1, 1)
        return scale with { Weight = Rows(weight), Bias = Rows(bias!) };
    }

    private static InstanceScale Whole(Tensor values) => new( // (B, L) → (B, 1, 1)
        values.mean([1L], keepdim: true).unsqueeze(-1),
        values.var(1, unbiased: false, keepdim: true).add(Epsilon).sqrt().unsqueeze(-1));

    // In float64 and from the first value on, as a difference of squares far from 0 has few digits.
    private InstanceScale Running(Tensor values)
    {
        Tensor first = values.narrow(1, 0, 1).to(ScalarType.Float64), distances = values.to(ScalarType.Float64).sub(first);
        Tensor ends = arange(series.Patch, series.Length + 1, series.Stride, dtype: ScalarType.Int64, device: values.device); // N
        Tensor Means(Tensor of) => of.cumsum(1).index_select(1, ends.sub(1)).div(ends); // (B, L) → (B, N)
        Tensor mean = Means(distances), variance = Means(distances.square()).sub(mean.square()).clamp_min(0);
        Tensor Single(Tensor of) => of.to(ScalarType.Float32).unsqueeze(-1); // (B, N) → (B, N, 1)
        return new(Single(mean.add(first)), Single(variance.add(Epsilon).sqrt()));
    }

    /// <summary>Mean and deviation of stretches, (B, 1, 1), or (B, N, 1) in a decoder; factor and summand of their variables, (B, 1, 1).
    /// </summary>
    internal readonly record struct InstanceScale(Tensor Mean, Tensor Deviation)
    {
        public Tensor? Weight { get; init; }

        public Tensor? Bias { get; init; }

        /// <summary>That of the last stretch alone.</summary>
        public InstanceScale Last() =>
            this with { Mean = Mean.narrow(1, -1, 1), Deviation = Deviation.narrow(1, -1, 1) };

        public Tensor Apply(Tensor patches) // (B, N, P)
        {
            Tensor scaled = patches.sub(Mean).div(Deviation);
            return Weight is null ? scaled : scaled.mul(Weight).add(Bias!);
        }

        public Tensor Undo(Tensor forecasts) // (B, 1 or N, F)
        {
            if (Weight is not null) forecasts = forecasts.sub(Bias!).div(Weight.add(Epsilon * Epsilon));
            return forecasts.mul(Deviation).add(Mean);
        }
    }
}
