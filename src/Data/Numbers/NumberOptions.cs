using System.ComponentModel;
using System.Text.Json.Serialization;

namespace Trainer.Data.Numbers;

/// <summary>The section <c>data.images</c>: how pictures are read.</summary>
public sealed record ImageDataOptions
{
    /// <summary>Whether pictures of another size than the model's are resized; else they are errors.</summary>
    [Description("Whether pictures of another size than model.input's are resized, by the mean of what each pixel covers; false: they are "
        + "refused.")]
    public bool Resize { get; init; }
}

/// <summary>The section <c>data.series</c>: how tables of time series are read.</summary>
public sealed record SeriesDataOptions
{
    /// <summary>Columns that are no variables.</summary>
    [Description("Columns that are not read, such as the time of a row; \"date\" when absent. All others hold numbers.")]
    public IReadOnlyList<string> Ignore { get; init; } = ["date"];
}

/// <summary>The numbers of one input of a model, as far as data depends on it.</summary>
public abstract record InputShape
{
    /// <summary>Numbers of one input.</summary>
    public abstract int Values { get; }

    /// <summary>Targets of one input: 1 for a class, or the values of a forecast.</summary>
    public abstract int Targets { get; }
}

/// <summary>Pictures of so many rows, columns and channels (1 or 3), by channel, row and column.</summary>
public sealed record ImageShape(int Height, int Width, int Channels) : InputShape
{
    /// <inheritdoc/>
    public override int Values => Channels * Height * Width;

    /// <inheritdoc/>
    public override int Targets => 1;
}

/// <summary>So many values of a variable, and the values behind them that are to be forecast.</summary>
public sealed record SeriesShape(int Length, int Horizon) : InputShape
{
    /// <inheritdoc/>
    public override int Values => Length;

    /// <inheritdoc/>
    public override int Targets => Horizon;
}

/// <summary>How the numbers of files become those of a model, and what its outputs stand for: beside the weights in a checkpoint, as a
/// tokenizer is.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ImagePreprocessor), "images")]
[JsonDerivedType(typeof(SeriesPreprocessor), "series")]
public abstract record Preprocessor
{
    /// <summary>Outputs of the model.</summary>
    [JsonIgnore]
    public abstract int Outputs { get; }
}

/// <summary>Pictures: the names of classes in order, and mean and deviation of each channel, of pixels from 0 to 1.</summary>
public sealed record ImagePreprocessor(
    IReadOnlyList<string> Classes, IReadOnlyList<double> Mean, IReadOnlyList<double> Deviation, bool Resize) : Preprocessor
{
    /// <inheritdoc/>
    public override int Outputs => Classes.Count;

    /// <summary>Standardises pixels (channels × area), from 0 to 255.</summary>
    public void Standardise(ReadOnlySpan<byte> pixels, Span<float> values)
    {
        var area = pixels.Length / Mean.Count;
        for (var channel = 0; channel < Mean.Count; channel++)
        {
            var (scale, shift) = ((float)(1 / (255 * Deviation[channel])), (float)(-Mean[channel] / Deviation[channel]));
            for (var i = channel * area; i < (channel + 1) * area; i++)
                values[i] = pixels[i] * scale + shift;
        }
    }
}

/// <summary>Time series: the names of variables in order, and their means and deviations.</summary>
public sealed record SeriesPreprocessor(
    IReadOnlyList<string> Variables, IReadOnlyList<double> Mean, IReadOnlyList<double> Deviation, IReadOnlyList<string> Ignore,
    int Horizon) : Preprocessor
{
    /// <inheritdoc/>
    public override int Outputs => Horizon;
}
