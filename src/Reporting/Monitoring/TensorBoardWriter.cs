using System.Buffers.Binary;
using System.Globalization;
using System.IO.Hashing;
using System.Numerics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Tensorboard;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes one TensorBoard event file: TFRecords of Event messages, appended and never rewritten. Each event is one write, so a
/// reader sees it at once and killing the process loses none. Not thread-safe.</summary>
/// <remarks>The messages are TorchSharp's; its SummaryWriter opens the file anew for each event, knows whole seconds only, and has neither
/// purge nor flush. Scalars are simple values, which every reader of event files understands; text and histograms are tensors with the
/// metadata of TensorBoard's plugins.</remarks>
public sealed class TensorBoardWriter : IDisposable
{
    private const string FileVersion = "brain.Event:2";

    private readonly AppendFile _file;
    private readonly TimeProvider _time;

    /// <summary>Creates a new event file. From <paramref name="firstStep"/> on it hides earlier files.</summary>
    public TensorBoardWriter(string directory, long firstStep = 0, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _file = new AppendFile(Path.Combine(directory, FileName(directory)));
        Write(new Event { FileVersion = FileVersion }, 0);
        Write(new Event { SessionLog = new SessionLog { Status = SessionLog.Types.SessionStatus.Start } }, firstStep);
    }

    /// <summary>The event file.</summary>
    public string Location => _file.Path;

    /// <summary>Adds a point to a curve, as float32, NaN and infinities included. Tags group curves by the part before a slash.</summary>
    internal void Scalar(string tag, double value, long step) =>
        Write(new Summary.Types.Value { Tag = tag, SimpleValue = (float)value }, step);

    internal void Text(string tag, string markdown, long step) => Write(
        new Summary.Types.Value
        {
            Tag = tag,
            Metadata = Metadata("text"),
            Tensor = new TensorProto
            {
                Dtype = DataType.DtString,
                TensorShape = Shape(),
                StringVal = { ByteString.CopyFromUtf8(markdown) },
            },
        },
        step);

    internal void Histogram(string tag, HistogramSummary histogram, long step) => Write(
        new Summary.Types.Value
        {
            Tag = tag,
            Metadata = Metadata("histograms"),
            Tensor = new TensorProto
            {
                Dtype = DataType.DtDouble,
                TensorShape = Shape(histogram.Counts.Count, 3),
                TensorContent = ByteString.CopyFrom(MemoryMarshal.AsBytes<double>(Buckets(histogram))),
            },
        },
        step);

    internal void Histogram(string tag, ReadOnlySpan<float> values, long step) =>
        Histogram(tag, HistogramSummary.FromValues(values), step);

    /// <summary>Adds the run and its settings to the table of the HParams plugin. The first settings in a run's files count.</summary>
    public void SessionStart(string configuration, long step) =>
        Write(HParams.SessionStartTag, Metadata("hparams", HParams.SessionStart(HParams.Settings(configuration), Now())), step);

    /// <summary>Marks the run in that table as done. The first end counts, so a run that may be resumed has none.</summary>
    public void SessionEnd(long step) =>
        Write(HParams.SessionEndTag, Metadata("hparams", HParams.SessionEnd(Now())), step);

    /// <summary>Flushes to the disk itself; readers see events without it.</summary>
    internal void Flush() => _file.Flush();

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Write(Summary.Types.Value value, long step) => Write(new Event { Summary = new Summary { Value = { value } } }, step);

    // Readers want a tensor even where the metadata is the whole value.
    private void Write(string tag, SummaryMetadata metadata, long step) => Write(
        new Summary.Types.Value
        {
            Tag = tag,
            Metadata = metadata,
            Tensor = new TensorProto { Dtype = DataType.DtFloat, TensorShape = Shape(0) },
        },
        step);

    private void Write(Event entry, long step)
    {
        entry.Step = step;
        entry.WallTime = Now();
        _file.Append(RecordFraming.Frame(entry.ToByteArray()));
    }

    private double Now() => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;

    // TensorBoard reads a directory's event files in the order of their names, so the time in this name must be later than in any other,
    // even when a run is resumed within a second or after the clock went back.
    private string FileName(string directory)
    {
        var seconds = Math.Max(_time.GetUtcNow().ToUnixTimeSeconds(), LastSeconds(directory) + 1);
        return string.Create(CultureInfo.InvariantCulture,
            $"events.out.tfevents.{seconds:D10}.{Environment.MachineName}.{Environment.ProcessId}.v2");
    }

    private static long LastSeconds(string directory) => !Directory.Exists(directory) ? 0 : Directory
        .EnumerateFiles(directory, "events.out.tfevents.*")
        .Select(path => Path.GetFileName(path).Split('.')[3])
        .Select(part => long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? seconds : 0)
        .DefaultIfEmpty()
        .Max();

    private static SummaryMetadata Metadata(string plugin, ByteString? content = null) => new()
    {
        PluginData = new SummaryMetadata.Types.PluginData { PluginName = plugin, Content = content ?? ByteString.Empty },
        DataClass = DataClass.Tensor,
    };

    private static TensorShapeProto Shape(params ReadOnlySpan<long> sizes)
    {
        var shape = new TensorShapeProto();
        foreach (var size in sizes)
            shape.Dim.Add(new TensorShapeProto.Types.Dim { Size = size });
        return shape;
    }

    // (buckets, 3): left edge, right edge, count
    private static double[] Buckets(HistogramSummary histogram)
    {
        var rows = new double[histogram.Counts.Count * 3];
        for (var i = 0; i < histogram.Counts.Count; i++)
            (rows[i * 3], rows[i * 3 + 1], rows[i * 3 + 2]) = (histogram.Edges[i], histogram.Edges[i + 1], histogram.Counts[i]);
        return rows;
    }
}

/// <summary>TFRecord framing: length (8 bytes, little-endian), its masked CRC-32C (4), data, the data's masked CRC-32C (4). The mask,
/// <c>((crc &gt;&gt; 15) | (crc &lt;&lt; 17)) + 0xa282ead8</c>, keeps checksums of checksums from degenerating.</summary>
internal static class RecordFraming
{
    public const int Overhead = sizeof(ulong) + sizeof(uint) + sizeof(uint);

    private const int HeaderSize = sizeof(ulong) + sizeof(uint);
    private const uint MaskDelta = 0xa282ead8;

    /// <summary>The whole record in one array, so that one write puts it on disk.</summary>
    public static byte[] Frame(ReadOnlySpan<byte> data)
    {
        var record = new byte[data.Length + Overhead];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(sizeof(ulong)), Mask(Crc32C(record.AsSpan(0, sizeof(ulong)))));
        data.CopyTo(record.AsSpan(HeaderSize));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(HeaderSize + data.Length), Mask(Crc32C(data)));
        return record;
    }

    /// <summary>CRC-32C (Castagnoli); of the ASCII digits 1 to 9 it is 0xe3069283.</summary>
    public static uint Crc32C(ReadOnlySpan<byte> data) => Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data);

    public static uint Mask(uint crc) => BitOperations.RotateRight(crc, 15) + MaskDelta;
}
