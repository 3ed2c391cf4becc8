using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;

namespace Trainer.Models.Patches;

/// <summary>A stretch of one variable in overlapping patches, from which its next values are forecast (PatchTST, Nie et al. 2022, arXiv
/// 2211.14730): variables are rows of their own.</summary>
/// <remarks>In an encoder, as in PatchTST, the last value is repeated for a stride, and the head reads all patches at once. In a decoder
/// each position forecasts what follows its patch, as in Timer (Liu et al. 2024, arXiv 2402.02368) and TimesFM (Das et al. 2023, arXiv
/// 2310.10688), and the last patch ends with the last value.</remarks>
[Description("A stretch of one variable of a time series, cut into patches that may overlap; the model forecasts what follows: an " +
    "encoder from all patches at once (PatchTST), a decoder at every patch from those up to it (Timer, TimesFM).")]
public sealed record SeriesPatchOptions : PatchOptions
{
    /// <summary>Values that are read.</summary>
    [Description("Values of a variable that are read.")]
    [Range(1, 1 << 20)]
    public required int Length { get; init; }

    /// <summary>Values of a patch.</summary>
    [Description("Values of a patch.")]
    [Range(1, 1 << 20)]
    public required int Patch { get; init; }

    /// <summary>Values from the beginning of one patch to that of the next.</summary>
    [Description("Values from the beginning of a patch to that of the next. In an encoder the last value is repeated so many times at " +
        "the end.")]
    [Range(1, 1 << 20)]
    public required int Stride { get; init; }

    /// <summary>Values that are forecast.</summary>
    [Description("Values that are forecast, behind those that are read.")]
    [Range(1, 1 << 20)]
    public required int Horizon { get; init; }

    /// <summary>Whether each input is shifted and scaled to mean 0 and deviation 1, and its forecast back (RevIN, Kim et al. 2022).</summary>
    [Description("Whether every stretch is shifted and scaled to mean 0 and deviation 1 before it is read, and its forecast back " +
        "(RevIN). In a decoder every patch has the mean and deviation of all values up to its end.")]
    public bool InstanceNorm { get; init; } = true;

    /// <summary>The number of variables of the data, each of which has a learned factor and summand behind the instance norm, which are
    /// undone in its forecast (RevIN, §3.2); null for none.</summary>
    [Description("Variables of the data, to learn a factor and a summand for each, behind the instance norm and undone in the forecast " +
        "(RevIN's affine weights); such a model is for these variables alone. Without it there are none.")]
    [Range(1, 1 << 20)]
    public int? AffineVariables { get; init; }

    /// <summary>What is minimised.</summary>
    [Description("What is minimised: squared = the mean squared error, absolute = the mean absolute error of the values forecast.")]
    public ForecastError Error { get; init; } = ForecastError.Squared;

    /// <inheritdoc/>
    public override int Values() => Length;

    /// <inheritdoc/>
    public override int Patches(bool causal = false) => (Length + (causal ? 0 : Stride) - Patch) / Stride + 1;

    /// <inheritdoc/>
    public override int Positions(bool causal = false) => Patches(causal);

    /// <inheritdoc/>
    public override int TargetsOf() => Horizon;

    internal override int PatchValues => Patch;

    internal override string PositionsInWords(bool causal) => $"{Patches(causal)} patches";

    internal override int HeadWidth(int dim, bool causal) => causal ? dim : dim * Patches();

    internal override int Predictions(bool causal) => causal ? Patches(causal) : 1;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Patch > Length) yield return new("patch", $"patch ({Patch}) must not be more than length ({Length}); use {Length} or less");
        if (Stride > Patch)
            yield return new("stride", $"stride ({Stride}) leaves out values between patches of {Patch}; use {Patch} or less");
        if (AffineVariables is { } variables && !InstanceNorm)
            yield return new("affineVariables", $"is {variables}, but instanceNorm is false, which its weights are a part of; remove it");
    }

    internal override IEnumerable<Problem> Against(ModelOptions model)
    {
        if (model.IsCausal && !Validate().Any() && (Length - Patch) % Stride is > 0 and var rest)
        {
            yield return new("input.length", $"length ({Length}) must be patch ({Patch}) and a multiple of stride ({Stride}) in a " +
                $"decoder, so that the last patch ends with the last value; use {Length - rest} or {Length - rest + Stride}");
            yield break;
        }
        foreach (Problem problem in base.Against(model)) yield return problem;
        foreach ((string path, AttentionOptions? attention) in model.IsCausal ? Attentions(model) : [])
            if (attention?.Pattern?.Prefix > 1)
                yield return new($"{path}.pattern", "type 'prefix' lets a patch see the values that it forecasts; use 'causal' or " +
                    "'sliding'");
        if (model is EncoderOptions { HeadTransform: true })
            yield return new("headTransform", "is for tokens and classes, and this head forecasts values; remove it");
        if (model.LogitScale != 1 || model.LogitSoftCap is not null)
            yield return new(model.LogitScale != 1 ? "logitScale" : "logitSoftCap", "is for logits, and this head forecasts values; " +
                "remove it");
    }
}

/// <summary>The error of forecasts that is minimised.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ForecastError>))]
public enum ForecastError
{
    /// <summary>The mean squared error.</summary>
    [JsonStringEnumMemberName("squared")]
    Squared,

    /// <summary>The mean absolute error.</summary>
    [JsonStringEnumMemberName("absolute")]
    Absolute,
}
