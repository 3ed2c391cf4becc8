using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Tests;

namespace Trainer.Data.Tests.Numbers;

public sealed class NumberDataTests : IDisposable
{
    private static readonly ImageShape Small = new(8, 8, 1);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void An_epoch_visits_every_picture_once_in_an_order_of_its_own()
    {
        using var data = Prepare(Shapes(50), Small);
        var stream = data.OpenStream(Shapes(50), 0, seed: 3);
        var epochs = Enumerable.Range(0, 3).Select(_ => Rows(stream.Next(50)).ToArray()).ToArray();
        Assert.All(epochs, epoch => Assert.Equal(epochs[0].Order(), epoch.Order()));
        Assert.Equal(50, epochs[0].Distinct().Count());
        Assert.NotEqual(epochs[0], epochs[1]);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(50)]
    [InlineData(120)]
    public void A_stream_goes_on_where_its_position_says(int taken)
    {
        using var data = Prepare(Shapes(50), Small);
        var whole = data.OpenStream(Shapes(50), 0, seed: 3);
        whole.Next(taken);
        var resumed = data.OpenStream(Shapes(50), 0, seed: 3);
        resumed.Position = whole.Position;
        Assert.Equal(Rows(whole.Next(60)), Rows(resumed.Next(60)));
    }

    [Fact]
    public void A_position_of_other_data_is_refused()
    {
        using var data = Prepare(Shapes(50), Small);
        var stream = data.OpenStream(Shapes(50), 0, seed: 3);
        Assert.Contains("50 examples", Assert.Throws<UserException>(() => stream.Position = new(0, 51)).Message);
    }

    [Fact]
    public void Parts_of_a_batch_are_its_rows()
    {
        using var data = Prepare(Shapes(50), Small);
        var batch = data.OpenStream(Shapes(50), 0, seed: 3).Next(5);
        Batch[] parts = [batch.Part(0, 2), batch.Part(1, 2)];
        Assert.Equal(Rows(batch), parts.SelectMany(Rows));
        Assert.Equal(batch.Targets, parts.SelectMany(part => part.Targets));
        Assert.Equal(5, parts.Sum(part => part.TargetTokens));
    }

    [Fact]
    public void Training_and_validation_share_no_picture_whatever_their_seeds()
    {
        var drawn = new[] { SourceSplit.Train, SourceSplit.Validation }.Select(split => Enumerable.Range(0, 400).Select(number =>
            Convert.ToHexString(new ShapeDrawing(new() { Noise = 0 }, Small, 5, split).Draw(number))).ToHashSet()).ToArray();
        Assert.Empty(drawn[0].Intersect(drawn[1]));
    }

    [Fact]
    public void Every_class_has_as_many_pictures_and_pixels_are_standardised()
    {
        using var data = Prepare(Shapes(80), Small);
        var batch = data.OpenStream(Shapes(80), 0, seed: 3).Next(80);
        Assert.All(Enumerable.Range(0, 8), index => Assert.Equal(10, batch.Targets.Count(target => target == index)));
        Assert.Equal(0, batch.Values!.Average(), 1e-4);
        Assert.Equal(1, batch.Values!.Average(value => (double)value * value), 1e-3);
    }

    [Fact]
    public void Folders_are_classes_of_which_the_last_pictures_are_held_out()
    {
        foreach (var (name, shade) in new[] { ("b", 100), ("a", 0) })
            for (var number = 0; number < 4; number++)
                WritePng($"pictures/{name}/{number}.png", (byte)(shade + number));
        using var data = Prepare(new() { Train = [Folder()], ValidationFraction = 0.25 }, new ImageShape(1, 2, 1));
        var preprocessor = Assert.IsType<ImagePreprocessor>(data.Preprocessor);
        Assert.Equal(["a", "b"], preprocessor.Classes);
        Assert.Equal((6, 2), (data.Train.Count, data.Validation.Count));
        var held = data.Validation.Read([0, 1]);
        Assert.Equal([0, 1], held.Targets);
        Assert.Equal([3, 103], held.Values!.Where((_, index) => index % 2 == 0).Select(
            value => (int)Math.Round((value * preprocessor.Deviation[0] + preprocessor.Mean[0]) * 255)));
    }

    [Fact]
    public void Drawn_pictures_are_prepared_anew_where_others_may_be_resized()
    {
        using var plain = Prepare(Shapes(50), Small);
        using var resizing = Prepare(Shapes(50) with { Images = new() { Resize = true } }, Small);
        Assert.NotEqual(plain.Fingerprint, resizing.Fingerprint);
    }

    [Fact]
    public void Prepared_pictures_are_opened_again_until_a_file_changes_or_they_are_damaged()
    {
        foreach (var name in new[] { "a", "b" })
            for (var number = 0; number < 2; number++)
                WritePng($"pictures/{name}/{number}.png", (byte)(10 * number));
        DataOptions options = new() { Train = [Folder()], ValidationFraction = 0.5 };
        var (log, shape) = (new List<string>(), new ImageShape(1, 2, 1));
        string Fingerprint()
        {
            using var data = NumberPreparation.Prepare(options, shape, folder["datasets"], new ProgressLog(log));
            return data.Fingerprint;
        }

        var first = Fingerprint();
        Assert.Equal(first, Fingerprint());
        Assert.Single(log, line => line.StartsWith("prepared", StringComparison.Ordinal));
        var file = Assert.Single(Directory.GetFiles(folder["datasets"], "train.numbers", SearchOption.AllDirectories));
        var bytes = File.ReadAllBytes(file);
        bytes[5] ^= 1;
        File.WriteAllBytes(file, bytes);
        Assert.Equal(first, Fingerprint());
        Assert.Contains(log, line => line.Contains("is damaged; preparing again"));
        WritePng("pictures/a/0.png", 77);
        Assert.NotEqual(first, Fingerprint());
    }

    [Fact]
    public void An_empty_folder_of_a_class_is_named()
    {
        WritePng("pictures/a/0.png", 1);
        Directory.CreateDirectory(folder["pictures/b"]);
        Assert.Contains($"the folder {folder["pictures/b"]} of a class is empty", Refusal(new() { Train = [Folder()] }));
    }

    [Fact]
    public void A_picture_beside_the_folders_of_classes_is_named()
    {
        WritePng("pictures/a/0.png", 1);
        WritePng("pictures/b/0.png", 1);
        WritePng("pictures/2.png", 1);
        Assert.Contains("2.png is in no folder of a class", Refusal(new() { Train = [Folder()] }));
    }

    [Fact]
    public void A_damaged_picture_is_named()
    {
        WritePng("pictures/a/0.png", 1);
        WritePng("pictures/b/0.png", 1);
        var path = folder["pictures/b/0.png"];
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^6]);
        Assert.StartsWith($"{path}: the PNG file is damaged: it is cut short",
            Refusal(new() { Train = [Folder()], Validation = [Folder()] }), StringComparison.Ordinal);
    }

    [Fact]
    public void Windows_of_a_series_are_split_by_time_and_standardised_by_the_training_part()
    {
        folder.Write("t.csv", "date,up,down\n" + string.Concat(Enumerable.Range(0, 20).Select(step => $"d,{step},{-2 * step}\n")));
        DataOptions options = new() { Train = [new() { Path = folder["t.csv"], Format = SourceFormat.Series }], ValidationFraction = 0.25 };
        using var data = Prepare(options, new SeriesShape(4, 2));
        var preprocessor = Assert.IsType<SeriesPreprocessor>(data.Preprocessor);
        Assert.Equal([7, -14], preprocessor.Mean);
        // 15 rows to train on: 10 windows of 2 variables; 4 + 5 rows to validate on: 4 windows.
        Assert.Equal((20, 8), (data.Train.Count, data.Validation.Count));
        var batch = data.Validation.Read([0, 1, 7]);
        double[] InOwnUnit(float[] values, int from, int variable) => [.. values[from..(from + (values == batch.Values ? 4 : 2))].Select(
            value => Math.Round(value * preprocessor.Deviation[variable] + preprocessor.Mean[variable], 3))];
        Assert.Equal([11, 12, 13, 14], InOwnUnit(batch.Values!, 0, 0));
        Assert.Equal([15, 16], InOwnUnit(batch.TargetValues!, 0, 0));
        Assert.Equal([-30, -32], InOwnUnit(batch.TargetValues!, 2, 1));
        Assert.Equal([-28, -30, -32, -34], InOwnUnit(batch.Values!, 8, 1));
        Assert.Equal([-36, -38], InOwnUnit(batch.TargetValues!, 4, 1));
        Assert.Equal(6, batch.TargetTokens);
    }

    [Fact]
    public void A_series_that_is_too_short_is_told_with_what_is_needed()
    {
        folder.Write("t.csv", "a\n1\n2\n3\n4\n5\n6\n");
        DataOptions options = new() { Train = [new() { Path = folder["t.csv"], Format = SourceFormat.Series }] };
        Assert.Contains("has 5 rows for training, and model.input reads 4 and forecasts 2: give at least 6",
            Assert.Throws<UserException>(() => Prepare(options, new SeriesShape(4, 2))).Message);
    }

    public static TheoryData<DataOptions, string, string> Wrong => new()
    {
        { Shapes(9) with { Objective = DataObjective.Masked }, "objective", "holds pictures; remove it" },
        { new() { Train = [new() { Path = "a.txt" }], Objective = DataObjective.Forecasting }, "objective", "holds texts" },
        { Shapes(9) with { EndOfDocument = "x" }, "endOfDocument", "is for texts" },
        { Shapes(9) with { Series = new() }, "series", "holds pictures" },
        { Shapes(9) with { Validation = [new() { Path = "t.csv", Format = SourceFormat.Series }] }, "validation.0.format", "time series" },
        { Shapes(9) with { Validation = null }, "validation", "is missing" },
        { new() { Train = [Metadata(SourceSplit.Validation)] }, "train.0.split", "kept for data.validation; remove it" },
        {
            new() { Train = [Metadata()], Validation = [Metadata(SourceSplit.Validation), Metadata()] }, "validation.1.split",
            "so that no assembly is also trained on"
        },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Settings_that_cannot_be_are_named(DataOptions options, string path, string message) =>
        Assert.Contains(options.Validate(), problem => problem.Path == path && problem.Message.Contains(message));

    private static SourceOptions Metadata(SourceSplit? split = null) => new() { Format = SourceFormat.DotnetMetadata, Split = split };

    private static DataOptions Shapes(int examples)
    {
        SourceOptions source = new() { Format = SourceFormat.Synthetic, Task = new ShapesTaskOptions(), Examples = examples };
        return new() { Train = [source], Validation = [source with { Split = SourceSplit.Validation }] };
    }

    private SourceOptions Folder() => new() { Path = folder["pictures"], Format = SourceFormat.Images };

    private NumberData Prepare(DataOptions options, InputShape shape) => NumberPreparation.Prepare(options, shape, folder["datasets"]);

    private string Refusal(DataOptions options) =>
        Assert.Throws<UserException>(() => Prepare(options, new ImageShape(1, 2, 1))).Message;

    private void WritePng(string name, byte shade)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
        File.WriteAllBytes(folder[name], Png.Encode(2, 1, Png.Grey, 8, [shade, 9]));
    }

    private static IEnumerable<string> Rows(Batch batch) =>
        batch.Values!.Chunk(batch.Values!.Length / batch.Rows).Select(row => string.Join(' ', row));
}
