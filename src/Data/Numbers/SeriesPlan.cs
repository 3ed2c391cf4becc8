using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;
using Trainer.Data.Batches;

namespace Trainer.Data.Numbers;

/// <summary>Time series as float32, a variable of a segment of time after the other. Where validation tables are not named, the end of each
/// training table is held out: what is forecast there was never trained on, what is read before it may have been.</summary>
internal sealed class SeriesPlan : NumberPlan
{
    private readonly SeriesShape shape;
    private readonly IReadOnlyList<string> ignore;
    private readonly double fraction;
    private readonly IReadOnlyList<SeriesSource> train;
    private readonly IReadOnlyList<SeriesSource>? validation;

    public SeriesPlan(DataOptions data, SeriesShape shape)
    {
        (this.shape, fraction, ignore) = (shape, data.ValidationFraction, (data.Series ?? new()).Ignore);
        SeriesSource[] OpenAll(IReadOnlyList<SourceOptions> sources, string at) =>
            [.. sources.Select((source, index) => SeriesSource.Open(source, $"{at}.{index}.path: "))];
        train = OpenAll(data.Train, "data.train");
        validation = data.Validation is null ? null : OpenAll(data.Validation, "data.validation");
    }

    public override string Name => train[0].Name;

    public override IReadOnlyList<string> Files => [.. train.Concat(validation ?? []).SelectMany(source => source.Files)];

    public override string Content => JsonSerializer.Serialize(new
    {
        version = Version,
        shape,
        ignore,
        train = train.Select(source => new { source.Reading, source.Files.Count }),
        validation = validation?.Select(source => new { source.Reading, source.Files.Count }),
        validationFraction = validation is null ? fraction : (double?)null,
    });

    public override (Preprocessor, SplitRecord Train, SplitRecord Validation) Write(string trainFile, string validationFile)
    {
        SeriesTable[] tables = [.. train.SelectMany(source => source.Read(ignore))];
        SeriesTable[] others = validation is null ? [] : [.. validation.SelectMany(source => source.Read(ignore))];
        foreach (var table in tables.Concat(others))
            if (!table.Variables.SequenceEqual(tables[0].Variables))
                throw new UserException($"{table.Name} has the variables {string.Join(", ", table.Variables)}, and {tables[0].Name} has "
                    + $"{string.Join(", ", tables[0].Variables)}; all tables need the same columns in the same order");
        if (validation is null)
            (tables, others) = ([.. tables.Select(Beginning)], [.. tables.Select(End)]);
        var preprocessor = Statistics(tables);
        return (preprocessor, Write(trainFile, tables, preprocessor), Write(validationFile, others, preprocessor));
    }

    public override NumberSplit Open(SafeFileHandle file, Preprocessor preprocessor, SplitRecord split) =>
        new SeriesSplit(file, shape, ((SeriesPreprocessor)preprocessor).Variables.Count, split.Segments);

    public override string Describe(NumberData data) => $"{data.Train.Count:N0} training and {data.Validation.Count:N0} validation windows "
        + $"of {((SeriesPreprocessor)data.Preprocessor).Variables.Count} variables";

    private int Cut(SeriesTable table) => (int)Math.Round((1 - fraction) * table.Steps);

    private SeriesTable Beginning(SeriesTable table) => Part(table, 0, Cut(table));

    // What is read before the first forecast belongs to it.
    private SeriesTable End(SeriesTable table) => Part(table, Math.Max(0, Cut(table) - shape.Length), table.Steps);

    private static SeriesTable Part(SeriesTable table, int first, int end) =>
        table with { Columns = [.. table.Columns.Select(column => column[first..end])] };

    private SeriesPreprocessor Statistics(SeriesTable[] tables)
    {
        double[] mean = [.. Enumerable.Range(0, tables[0].Variables.Count).Select(
            variable => tables.SelectMany(table => table.Columns[variable]).Average(value => (double)value))];
        double[] deviation = [.. mean.Select((center, variable) => Math.Sqrt(tables.SelectMany(table => table.Columns[variable])
            .Average(value => (value - center) * (value - center))) is > 1e-12 and var found ? found : 1)];
        return new(tables[0].Variables, mean, deviation, ignore, shape.Horizon);
    }

    private SplitRecord Write(string path, SeriesTable[] tables, SeriesPreprocessor preprocessor)
    {
        var needed = shape.Length + shape.Horizon;
        if (tables.FirstOrDefault(table => table.Steps < needed) is { } small)
            throw new UserException($"{small.Name} has {small.Steps} rows for {(path.Contains("validation") ? "validation" : "training")}, "
                + $"and model.input reads {shape.Length} and forecasts {shape.Horizon}: give at least {needed}, or make length and horizon "
                + "less");
        using (var stream = File.Create(path))
            foreach (var (column, variable) in tables.SelectMany(table => table.Columns.Select((column, index) => (column, index))))
            {
                var (mean, deviation) = (preprocessor.Mean[variable], preprocessor.Deviation[variable]);
                float[] standard = [.. column.Select(value => (float)((value - mean) / deviation))];
                stream.Write(MemoryMarshal.AsBytes<float>(standard));
            }
        int[] segments = [.. tables.Select(table => table.Steps)];
        return new SplitRecord(SplitRecord.HashOf(path), segments.Sum(steps => (long)steps - needed + 1) * preprocessor.Variables.Count,
            segments);
    }
}

/// <summary>Windows of one variable each: of every segment, every variable and every step that has enough values behind it.</summary>
internal sealed class SeriesSplit : NumberSplit
{
    private readonly int variables;
    private readonly long[] firstWindows;   // of each segment, and the number of all
    private readonly long[] offsets;
    private readonly IReadOnlyList<int> segments;

    public SeriesSplit(SafeFileHandle file, SeriesShape shape, int variables, IReadOnlyList<int> segments) : base(file, shape)
    {
        (this.variables, this.segments) = (variables, segments);
        (firstWindows, offsets) = (new long[segments.Count + 1], new long[segments.Count]);
        for (var i = 0; i < segments.Count; i++)
        {
            firstWindows[i + 1] = firstWindows[i] + (segments[i] - Width + 1L) * variables;
            if (i > 0)
                offsets[i] = offsets[i - 1] + (long)segments[i - 1] * variables;
        }
    }

    private int Width => Shape.Values + Shape.Targets;

    public override long Count => firstWindows[^1];

    public override Batch Read(ReadOnlySpan<long> examples)
    {
        var (length, horizon) = (Shape.Values, Shape.Targets);
        var (values, targets) = (new float[examples.Length * length], new float[examples.Length * horizon]);
        var of = new long[examples.Length];
        var window = new float[Width];
        for (var row = 0; row < examples.Length; row++)
        {
            var (offset, variable) = Place(examples[row]);
            Fill(MemoryMarshal.AsBytes(window.AsSpan()), sizeof(float) * offset);
            of[row] = variable;
            window.AsSpan(0, length).CopyTo(values.AsSpan(row * length));
            window.AsSpan(length).CopyTo(targets.AsSpan(row * horizon));
        }
        return new Batch([], [], examples.Length, horizon) { Values = values, TargetValues = targets, Variables = of };
    }

    // Variables take turns, step by step.
    private (long Offset, long Variable) Place(long example)
    {
        var segment = Array.FindIndex(firstWindows, first => first > example) - 1;
        var (start, variable) = Math.DivRem(example - firstWindows[segment], variables);
        return (offsets[segment] + variable * segments[segment] + start, variable);
    }
}
