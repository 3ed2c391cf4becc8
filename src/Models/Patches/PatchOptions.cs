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

    /// <summary>Patches of one input; <paramref name="causal"/> is true for a decoder.</summary>
    public abstract int Patches(bool causal = false);

    /// <summary>Positions of the model: patches, and a class token where there is one; <paramref name="causal"/> is true for a decoder.
    /// </summary>
    public abstract int Positions(bool causal = false);

    /// <summary>Targets of one input: 1 for a class, or the values of a forecast.</summary>
    public abstract int TargetsOf();

    internal abstract int PatchValues { get; }

    internal abstract string PositionsInWords(bool causal);

    /// <summary>Width of what the head reads.</summary>
    internal abstract int HeadWidth(int dim, bool causal);

    /// <summary>How often the head is applied to one input.</summary>
    internal virtual int Predictions(bool causal) => 1;

    /// <inheritdoc/>
    public abstract IEnumerable<Problem> Validate();

    internal virtual IEnumerable<Problem> Against(ModelOptions model)
    {
        if (Validate().Any()) yield break;
        if (model.ContextLength != Positions(model.IsCausal))
            yield return new("contextLength", $"contextLength ({model.ContextLength}) must be the number of positions that model.input " +
                $"makes: {PositionsInWords(model.IsCausal)}; set it to {Positions(model.IsCausal)}");
        if (model.VocabularySize is { } rows)
            yield return new("vocabularySize", $"is {rows}, but a model of patches has no tokens; remove it");
        foreach ((string path, AttentionOptions? attention) in Attentions(model))
            if (attention is HeadProjectionOptions { ValueEmbedding: true })
                yield return new($"{path}.valueEmbedding", "is a table of tokens, and a model of patches has none; remove it");
    }

    private protected static IEnumerable<(string Path, AttentionOptions? Attention)> Attentions(ModelOptions model) =>
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
        "patches, without such a token; last = the last patch, in a decoder, where it alone has seen all of them.")]
    public PatchPooling Pooling { get; init; } = PatchPooling.Class;

    /// <inheritdoc/>
    public override int Values() => Channels * Height * Width;

    /// <inheritdoc/>
    public override int Patches(bool causal = false) => Height / Patch * (Width / Patch);

    /// <inheritdoc/>
    public override int Positions(bool causal = false) => Patches() + (Pooling == PatchPooling.Class ? 1 : 0);

    /// <inheritdoc/>
    public override int TargetsOf() => 1;

    internal override int PatchValues => Channels * Patch * Patch;

    internal override string PositionsInWords(bool causal) =>
        $"{Patches()} patches{(Pooling == PatchPooling.Class ? " and a class token" : "")}";

    internal override int HeadWidth(int dim, bool causal) => dim;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Channels is not (1 or 3))
            yield return new("channels", $"channels ({Channels}) must be 1 (grey) or 3 (red, green and blue)");
        foreach ((string name, int side) in ((string, int)[])[("height", Height), ("width", Width)])
            if (Patch > 0 && (side < 1 || side % Patch != 0))
                yield return new("patch", $"patch ({Patch}) must divide {name} ({side}); try {Divisors.Near(Math.Max(1, side), Patch)}");
    }

    internal override IEnumerable<Problem> Against(ModelOptions model)
    {
        string? refusal = (model.IsCausal, Pooling) switch
        {
            (true, PatchPooling.Class) => "is 'class', a token before the patches, which in a decoder sees none of them; set it to 'last'",
            (true, PatchPooling.Mean) => "is 'mean', but in a decoder most patches have seen a part of the picture only; set it to 'last'",
            (false, PatchPooling.Last) => "is 'last', a patch like any other in an encoder; use 'class' or 'mean', or set " +
                "model.architecture to 'decoder'",
            _ => null,
        };
        return refusal is null ? base.Against(model) : [new("input.pooling", refusal)];
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

    /// <summary>The last patch, of a decoder, as of a text the last token (Radford et al. 2018, GPT, §3.2).</summary>
    [JsonStringEnumMemberName("last")]
    Last,
}
