using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;

namespace Trainer.Data.Numbers;

/// <summary>Pictures as bytes. Where validation pictures are not named, the last of each class are held out.</summary>
internal sealed class ImagePlan : NumberPlan
{
    private readonly ImageShape shape;
    private readonly bool resize;
    private readonly double fraction;
    private readonly IReadOnlyList<ImageSource> train;
    private readonly IReadOnlyList<ImageSource>? validation;

    public ImagePlan(DataOptions data, ImageShape shape)
    {
        (this.shape, resize, fraction) = (shape, data.Images?.Resize ?? false, data.ValidationFraction);
        ImageSource[] OpenAll(IReadOnlyList<SourceOptions> sources, string at) =>
            [.. sources.Select((source, index) => ImageSource.Open(source, shape, resize, $"{at}.{index}"))];
        train = OpenAll(data.Train, "data.train");
        validation = data.Validation is null ? null : OpenAll(data.Validation, "data.validation");
    }

    private IEnumerable<ImageSource> All => train.Concat(validation ?? []);

    public override string Name => train[0].Name;

    public override IReadOnlyList<string> Files => [.. All.SelectMany(source => source.Files)];

    public override string Content => JsonSerializer.Serialize(new
    {
        version = Version,
        shape,
        train = train.Select(Of),
        validation = validation?.Select(Of),
        validationFraction = validation is null ? fraction : (double?)null,
    });

    // Classes by picture, for a file that moves to another folder is another example.
    private static object Of(ImageSource source) => new
    {
        source.Reading,
        classes = source.Files.Count == 0 ? source.Classes : source.Entries.Select(entry => entry.Class),
    };

    public override (Preprocessor, SplitRecord Train, SplitRecord Validation) Write(string trainFile, string validationFile)
    {
        string[] classes = [.. train.SelectMany(source => source.Classes).Distinct().Order(StringComparer.Ordinal)];
        foreach (var unknown in (validation ?? []).SelectMany(source => source.Classes).Except(classes))
            throw new UserException($"data.validation has pictures of the class \"{unknown}\", and data.train has none; the classes are "
                + $"{string.Join(", ", classes)}");
        ImageEntry[] all = [.. train.SelectMany(source => source.Entries)];
        ImageEntry[] kept = validation is null ? [.. all.GroupBy(entry => entry.Class).SelectMany(Kept)] : all;
        ImageEntry[] held = validation is null ? [.. all.Except(kept)] : [.. validation.SelectMany(source => source.Entries)];
        var statistics = new ChannelStatistics(shape.Channels);
        var trainRecord = Write(trainFile, kept, classes, statistics);
        return (new ImagePreprocessor(classes, statistics.Mean, statistics.Deviation, resize), trainRecord,
            Write(validationFile, held, classes, null));
    }

    public override NumberSplit Open(SafeFileHandle file, Preprocessor preprocessor, SplitRecord split) =>
        new ImageSplit(file, shape, (ImagePreprocessor)preprocessor, split.Examples);

    public override string Describe(NumberData data) =>
        $"{data.Train.Count:N0} training and {data.Validation.Count:N0} validation pictures of {data.Outputs} classes";

    private IEnumerable<ImageEntry> Kept(IGrouping<string, ImageEntry> entries)
    {
        ImageEntry[] all = [.. entries];
        var kept = (int)Math.Round((1 - fraction) * all.Length);
        if (kept < 1 || kept == all.Length)
            throw new UserException($"the class \"{entries.Key}\" has {all.Length} pictures, of which data.validationFraction ({fraction}) "
                + "leaves none to train or to validate on; give more, or name others in data.validation");
        return all.Take(kept);
    }

    private static SplitRecord Write(string path, IReadOnlyList<ImageEntry> entries, string[] classes, ChannelStatistics? statistics)
    {
        using (var stream = File.Create(path))
            foreach (var (entry, pixels) in InOrder(entries))
            {
                var label = Array.IndexOf(classes, entry.Class);
                stream.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in label)));
                stream.Write(pixels);
                statistics?.Add(pixels);
            }
        return new SplitRecord(SplitRecord.HashOf(path), entries.Count, []);
    }

    // Decoded on all cores; the first that fails in order is the error, whichever came first.
    private static IEnumerable<(ImageEntry, byte[])> InOrder(IReadOnlyList<ImageEntry> entries)
    {
        foreach (var chunk in entries.Chunk(256))
        {
            (ImageEntry, byte[]?, ExceptionDispatchInfo?)[] read = [.. chunk.AsParallel().AsOrdered().Select(TryRead)];
            foreach (var (entry, pixels, error) in read)
            {
                error?.Throw();
                yield return (entry, pixels!);
            }
        }
    }

    private static (ImageEntry, byte[]?, ExceptionDispatchInfo?) TryRead(ImageEntry entry)
    {
        try
        {
            return (entry, entry.Read(), null);
        }
        catch (UserException e)
        {
            return (entry, null, ExceptionDispatchInfo.Capture(e));
        }
    }

    /// <summary>Means and deviations of pixels from 0 to 1, from exact sums.</summary>
    private sealed class ChannelStatistics(int channels)
    {
        private readonly long[] sums = new long[channels];
        private readonly long[] squares = new long[channels];
        private long count;

        public IReadOnlyList<double> Mean => [.. sums.Select(sum => sum / (255.0 * count))];

        /// <summary>1 for a channel that is the same everywhere.</summary>
        public IReadOnlyList<double> Deviation => [.. sums.Zip(squares, (sum, square) =>
            Math.Sqrt(Math.Max(0, square / (255.0 * 255.0 * count) - sum / (255.0 * count) * (sum / (255.0 * count))))
            is > 1e-6 and var deviation ? deviation : 1)];

        public void Add(byte[] pixels)
        {
            var area = pixels.Length / channels;
            for (var channel = 0; channel < channels; channel++)
                foreach (var pixel in pixels.AsSpan(channel * area, area))
                {
                    sums[channel] += pixel;
                    squares[channel] += pixel * pixel;
                }
            count += area;
        }
    }
}
