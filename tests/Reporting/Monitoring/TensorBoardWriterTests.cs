using System.Buffers.Binary;
using Tensorboard;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Monitoring;

public class TensorBoardWriterTests
{
    [Fact]
    public void File_begins_with_its_version_and_is_named_for_TensorBoard()
    {
        using var directory = new TemporaryDirectory();
        using var writer = new TensorBoardWriter(directory.Path, firstStep: 501, ManualTime.Start());

        Assert.Equal(
            $"events.out.tfevents.1767323045.{Environment.MachineName}.{Environment.ProcessId}.v2",
            Path.GetFileName(writer.Location));
        var events = EventFileReader.ReadFile(writer.Location);
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        Assert.Equal(1767323045, events[0].WallTime);
        Assert.Equal((SessionLog.Types.SessionStatus.Start, 501), (events[1].SessionLog.Status, events[1].Step));
        Assert.Equal(2, events.Count);
    }

    [Fact]
    public void Events_are_readable_at_once_without_flush()
    {
        using var directory = new TemporaryDirectory();
        using var writer = new TensorBoardWriter(directory.Path);

        writer.Scalar("loss/train", 1.5, 10);

        var (tag, step, value) = Assert.Single(EventFileReader.ReadDirectory(directory.Path));
        Assert.Equal(("loss/train", 10, 1.5f), (tag, step, value.SimpleValue));
    }

    [Fact]
    public void Non_finite_scalars_are_kept()
    {
        using var directory = new TemporaryDirectory();
        using var writer = new TensorBoardWriter(directory.Path);

        writer.Scalar("loss/train", double.NaN, 1);

        Assert.True(float.IsNaN(EventFileReader.ReadDirectory(directory.Path).Single().Value.SimpleValue));
    }

    [Fact]
    public void Text_is_a_string_tensor_of_the_text_plugin()
    {
        using var directory = new TemporaryDirectory();
        using var writer = new TensorBoardWriter(directory.Path);

        writer.Text("samples/1", "**größer** 語", 250);

        var value = EventFileReader.ReadDirectory(directory.Path).Single().Value;
        Assert.Equal(("text", DataClass.Tensor), (value.Metadata.PluginData.PluginName, value.Metadata.DataClass));
        Assert.Equal(DataType.DtString, value.Tensor.Dtype);
        Assert.Empty(value.Tensor.TensorShape.Dim);
        Assert.Equal("**größer** 語", value.Tensor.StringVal.Single().ToStringUtf8());
    }

    [Fact]
    public void Histogram_is_a_tensor_of_left_right_and_count()
    {
        using var directory = new TemporaryDirectory();
        using var writer = new TensorBoardWriter(directory.Path);

        writer.Histogram("weights/a", HistogramSummary.FromBuckets([-1, 0, 2], [3, 4]), 7);

        var value = EventFileReader.ReadDirectory(directory.Path).Single().Value;
        Assert.Equal(("histograms", DataClass.Tensor), (value.Metadata.PluginData.PluginName, value.Metadata.DataClass));
        Assert.Equal(DataType.DtDouble, value.Tensor.Dtype);
        Assert.Equal([2, 3], value.Tensor.TensorShape.Dim.Select(dim => dim.Size));
        var content = value.Tensor.TensorContent.ToByteArray();
        Assert.Equal([-1, 0, 3, 0, 2, 4], Enumerable.Range(0, 6)
            .Select(i => BinaryPrimitives.ReadDoubleLittleEndian(content.AsSpan(i * 8))));
    }

    [Fact]
    public void Resumed_run_hides_what_it_writes_again_even_within_the_same_second()
    {
        using var directory = new TemporaryDirectory();
        var time = ManualTime.Start();
        using (var killed = new TensorBoardWriter(directory.Path, 0, time))
            for (var step = 10; step <= 50; step += 10)
                killed.Scalar("loss/train", 1, step);
        time.Advance(-3600);
        using (var resumed = new TensorBoardWriter(directory.Path, firstStep: 31, time))
            for (var step = 40; step <= 60; step += 10)
                resumed.Scalar("loss/train", 2, step);

        Assert.Equal(
            [(10, 1f), (20, 1f), (30, 1f), (40, 2f), (50, 2f), (60, 2f)],
            EventFileReader.ReadDirectory(directory.Path).Select(point => (point.Step, point.Value.SimpleValue)));
    }
}
