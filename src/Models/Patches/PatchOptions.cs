using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;

namespace Trainer.Models.Patches;

/// <summary>What a model reads in place of tokens: patches of numbers. A new kind is a record and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ImagePatchOptions), "image-patches")]
[JsonDerivedType(typeof(SeriesPatchOptions), "series-patches")]
public abstract record PatchOptions : IValidated
{
    /// <summary>Numbers of one input.</summary>
    public abstract int Values();

    /// <summary>Patches of one input.</summary>
    public abstract int Patches();

    /// <summary>Positions of the model: patches, and a class token where there is one.</summary>
    public abstract int Positions();

    /// <summary>Targets of one input: 1 for a class, or the values of a forecast.</summary>
    public abstract int TargetsOf();

    internal abstract int PatchValues { get; }

    internal abstract string PositionsInWords { get; }

    /// <summary>Width of what the head reads.</summary>
    internal abstract int HeadWidth(int dim);

    /// <inheritdoc/>
    public abstract IEnumerable<Problem> Validate();

    internal virtual IEnumerable<Problem> Against(EncoderOptions model)
    {
        if (Validate().Any()) yield break;
        if (model.ContextLength != Positions())
            yield return new("contextLength", $"contextLength ({model.ContextLength}) must be the number of positions that model.input " +
                $"makes: {PositionsInWords}; set it to {Positions()}");
        if (model.VocabularySize is { } rows)
            yield return new("vocabularySize", $"is {rows}, but a model of patches has no tokens; remove it");
        foreach ((string path, AttentionOptions? attention) in Attentions(model))
            if (attention is HeadProjectionOptions { ValueEmbedding: true })
                yield return new($"{path}.valueEmbedding", "is a table of tokens, and a model of patches has none; remove it");
    }

    private static IEnumerable<(string, AttentionOptions?)> Attentions(EncoderOptions model) =>
        (model.LayerPattern ?? []).Select((group, index) => ($"layerPattern.{index}.attention", group.Attention))
        .Prepend(("attention", model.Attention));
}

/// <summary>A picture in square patches, of which its class is told (ViT, Dosovitskiy et al. 2020, arXiv 2010.11929).</summary>
[Description("A picture, cut into square patches (ViT); the model says its class.")]
public sealed record ImagePatchOptions : PatchOptions
{
    /// <summary>Rows of a picture.</summary>
    [Description("Rows of a picture.")]
    [Range(1, 4096)]
    public required int Height { get; init; }

    /// <summary>Columns of a picture.</summary>
    [Description("Columns of a picture.")]
    [Range(1, 4096)]
    public required int Width { get; init; }

    /// <summary>Numbers of a pixel: 1 for grey, 3 for red, green and blue.</summary>
    [Description("Numbers of a pixel: 1 = grey, 3 = red, green and blue.")]
    public int Channels { get; init; } = 3;

    /// <summary>Side of a patch; it divides height and width.</summary>
    [Description("Rows and columns of a patch; it divides height and width.")]
    [Range(1, 4096)]
    public required int Patch { get; init; }

    /// <summary>What of the last layer the head reads.</summary>
    [Description("What of the last layer the class is told from: class = a learned token before the patches; mean = the mean of all " +
        "patches, without such a token.")]
    public PatchPooling Pooling { get; init; } = PatchPooling.Class;

    /// <inheritdoc/>
    public override int Values() => Channels * Height * Width;

    /// <inheritdoc/>
    public override int Patches() => Height / Patch * (Width / Patch);

    /// <inheritdoc/>
    public override int Positions() => Patches() + (Pooling == PatchPooling.Class ? 1 : 0);

    /// <inheritdoc/>
    public override int TargetsOf() => 1;

    internal override int PatchValues => Channels * Patch * Patch;

    internal override string PositionsInWords =>
        $"{Patches()} patches{(Pooling == PatchPooling.Class ? " and a class token" : "")}";

    internal override int HeadWidth(int dim) => dim;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Channels is not (1 or 3))
            yield return new("channels", $"channels ({Channels}) must be 1 (grey) or 3 (red, green and blue)");
        foreach ((string name, int side) in ((string, int)[])[("height", Height), ("width", Width)])
            if (Patch > 0 && (side < 1 || side % Patch != 0))
                yield return new("patch", $"patch ({Patch}) must divide {name} ({side}); try {Divisors.Near(Math.Max(1, side), Patch)}");
    }
}

/// <summary>What of a picture's last hidden states its class is told from.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PatchPooling>))]
public enum PatchPooling
{
    /// <summary>A learned token before the patches (ViT).</summary>
    [JsonStringEnumMemberName("class")]
    Class,

    /// <summary>The mean of all patches (Beyer et al. 2022, arXiv 2205.01580).</summary>
    [JsonStringEnumMemberName("mean")]
    Mean,
}

/// <summary>A stretch of one variable in overlapping patches, from which its next values are forecast (PatchTST, Nie et al. 2022, arXiv
/// 2211.14730): variables are rows of their own, the last value is repeated for a stride, and the head reads all patches at once.</summary>
[Description("A stretch of one variable of a time series, cut into overlapping patches (PatchTST); the model forecasts what follows.")]
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
    [Description("Values from the beginning of a patch to that of the next. The last value is repeated so many times at the end.")]
    [Range(1, 1 << 20)]
    public required int Stride { get; init; }

    /// <summary>Values that are forecast.</summary>
    [Description("Values that are forecast, behind those that are read.")]
    [Range(1, 1 << 20)]
    public required int Horizon { get; init; }

    /// <summary>Whether each input is shifted and scaled to mean 0 and deviation 1, and its forecast back (RevIN, Kim et al. 2022).</summary>
    [Description("Whether every stretch is shifted and scaled to mean 0 and deviation 1 before it is read, and its forecast back (RevIN).")]
    public bool InstanceNorm { get; init; } = true;

    /// <summary>What is minimised.</summary>
    [Description("What is minimised: squared = the mean squared error, absolute = the mean absolute error of the values forecast.")]
    public ForecastError Error { get; init; } = ForecastError.Squared;

    /// <inheritdoc/>
    public override int Values() => Length;

    /// <inheritdoc/>
    public override int Patches() => (Length + Stride - Patch) / Stride + 1;

    /// <inheritdoc/>
    public override int Positions() => Patches();

    /// <inheritdoc/>
    public override int TargetsOf() => Horizon;

    internal override int PatchValues => Patch;

    internal override string PositionsInWords => $"{Patches()} patches";

    internal override int HeadWidth(int dim) => dim * Patches();

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Patch > Length) yield return new("patch", $"patch ({Patch}) must not be more than length ({Length}); use {Length} or less");
        if (Stride > Patch)
            yield return new("stride", $"stride ({Stride}) leaves out values between patches of {Patch}; use {Patch} or less");
    }

    internal override IEnumerable<Problem> Against(EncoderOptions model)
    {
        foreach (Problem problem in base.Against(model)) yield return problem;
        if (model.HeadTransform)
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
