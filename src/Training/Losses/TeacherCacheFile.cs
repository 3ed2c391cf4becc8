using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models.Devices;

namespace Trainer.Training.Losses;

/// <summary>What a teacher's kept probabilities depend on. Other students, seeds and batch sizes read the same.</summary>
/// <param name="Data">The fingerprint of the prepared data.</param>
/// <param name="Rows">How its tokens become rows.</param>
/// <param name="ContextLength">Tokens of the longest row.</param>
/// <param name="Teacher">The teacher, as <see cref="FrozenModel.IdentityOf"/>.</param>
/// <param name="Precision">The number format of its matrices.</param>
/// <param name="TopK">Tokens that are kept of each target.</param>
/// <param name="VocabularySize">Tokens of the tokenizer.</param>
/// <param name="Temperature">What logits were divided by.</param>
internal sealed record TeacherCacheKey(
    string Data, string Rows, int ContextLength, string Teacher, InferencePrecision Precision, int TopK, int VocabularySize,
    double Temperature)
{
    [JsonIgnore]
    public int BytesPerTarget => TopTokens.BytesPerTarget(TopK, VocabularySize);

    /// <summary>Such as <c>teacher-0123456789abcdef-top64-89abcdef</c>.</summary>
    [JsonIgnore]
    public string FolderName => $"teacher-{Teacher[..16]}-top{TopK}-" +
        Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(this)))[..8];
}

/// <summary>Consecutive targets of a text that training reads together: the place in the shard of the token that <c>TokenSpan.Start</c>
/// names, and how many there are.</summary>
internal readonly record struct TaughtSequence(long Start, int Targets);

/// <summary>One of the files that hold a teacher's probabilities, little-endian, read a sequence at a time. Thread-safe.</summary>
/// <remarks>
/// <code>
///   0  8  magic "TRNTEACH"                  12  4  bytes of the description
///   8  4  format version                    16  8  XxHash3 of description and sequences
///  24     description, JSON: the key, which of how many files this is, its sequences and targets
///         sequences, 24 bytes each: start (i64), first target (i64), XxHash3 of their bytes
///         targets, as <see cref="TopTokens.Pack"/> makes them
/// </code>
/// </remarks>
internal sealed class TeacherCacheFile : IDisposable
{
    private const int Version = 1, Fixed = 24, BytesPerSequence = 24, LongestDescription = 1 << 16;

    private readonly SafeFileHandle file;
    private readonly Sequence[] sequences;
    private readonly long begin;

    private TeacherCacheFile(string path, SafeFileHandle file, Description description, Sequence[] sequences, long begin)
    {
        (Path, Files, Targets) = (path, description.Files, description.Targets);
        (this.file, this.sequences, this.begin) = (file, sequences, begin);
        BytesPerTarget = description.Key.BytesPerTarget;
    }

    private static ReadOnlySpan<byte> Magic => "TRNTEACH"u8;

    public string Path { get; }

    /// <summary>How many files there are together.</summary>
    public int Files { get; }

    public long Targets { get; }

    public long Bytes => begin + Targets * BytesPerTarget;

    private int BytesPerTarget { get; }

    /// <summary>The places in the shard at which its sequences start.</summary>
    public IEnumerable<long> Starts => sequences.Select(sequence => sequence.Start);

    /// <summary>Writes a file, whole or not at all. <paramref name="targets"/> are those of the sequences, one after the other.</summary>
    /// <exception cref="UserException">It cannot be written.</exception>
    public static void Write(
        string path, TeacherCacheKey key, int number, int files, IReadOnlyList<TaughtSequence> sequences, ReadOnlyMemory<byte> targets)
    {
        byte[] description = JsonSerializer.SerializeToUtf8Bytes(
            new Description(key, number, files, sequences.Count, sequences.Sum(sequence => (long)sequence.Targets)));
        byte[] head = new byte[Fixed + description.Length + sequences.Count * BytesPerSequence];
        description.CopyTo(head, Fixed);
        Span<Sequence> table = MemoryMarshal.Cast<byte, Sequence>(head.AsSpan(Fixed + description.Length));
        long first = 0;
        for (int i = 0; i < table.Length; i++)
        {
            ReadOnlySpan<byte> own = targets.Span.Slice(
                checked((int)(first * key.BytesPerTarget)), sequences[i].Targets * key.BytesPerTarget);
            table[i] = new(sequences[i].Start, first, XxHash3.HashToUInt64(own));
            first += sequences[i].Targets;
        }
        Magic.CopyTo(head);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(12), description.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(head.AsSpan(16), XxHash3.HashToUInt64(head.AsSpan(Fixed)));
        DurableFile.Write(path, stream =>
        {
            stream.Write(head);
            stream.Write(targets.Span);
        });
    }

    /// <summary>Opens one and checks all of it but its targets, which are checked as they are read.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or holds something else; the message says what.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static TeacherCacheFile Open(string path, TeacherCacheKey key, int number)
    {
        SafeFileHandle file = File.OpenHandle(path, share: FileShare.Read | FileShare.Delete);
        try
        {
            byte[] start = Require(file, 0, Fixed);
            if (!start.AsSpan().StartsWith(Magic)) throw new InvalidDataException("it does not begin with TRNTEACH");
            int version = BinaryPrimitives.ReadInt32LittleEndian(start.AsSpan(8));
            int length = BinaryPrimitives.ReadInt32LittleEndian(start.AsSpan(12));
            if (version != Version) throw new InvalidDataException($"its format version is {version}, and this program reads {Version}");
            if (length is < 1 or > LongestDescription) throw new InvalidDataException($"its description has {length} bytes");
            byte[] text = Require(file, Fixed, length);
            Description description = Parse(text);
            if (description.Key != key || description.Number != number)
                throw new InvalidDataException($"it is of something else: {Encoding.UTF8.GetString(text)}");
            long begin = Fixed + length + (long)description.Sequences * BytesPerSequence, found = RandomAccess.GetLength(file);
            if (description.Sequences < 0 || description.Targets < 0 || found != begin + description.Targets * key.BytesPerTarget)
                throw new InvalidDataException($"it has {found} bytes, which is not what its {description.Targets} targets take");
            byte[] table = Require(file, Fixed + length, description.Sequences * BytesPerSequence);
            XxHash3 hash = new();
            hash.Append(text);
            hash.Append(table);
            if (hash.GetCurrentHashAsUInt64() != BinaryPrimitives.ReadUInt64LittleEndian(start.AsSpan(16)))
                throw new InvalidDataException("its head does not match its checksum");
            return new(path, file, description, MemoryMarshal.Cast<byte, Sequence>(table).ToArray(), begin);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>How many targets a sequence has.</summary>
    public int TargetsOf(int sequence) =>
        (int)((sequence + 1 < sequences.Length ? sequences[sequence + 1].First : Targets) - sequences[sequence].First);

    /// <summary>Reads all targets of a sequence.</summary>
    /// <exception cref="UserException">They are damaged.</exception>
    public void Read(int sequence, Span<byte> targets)
    {
        (_, long first, ulong sum) = sequences[sequence];
        if (Read(file, begin + first * BytesPerTarget, targets) != targets.Length || XxHash3.HashToUInt64(targets) != sum)
            throw new UserException($"{Path}: its sequence {sequence} does not match its checksum; delete the file, and go on with " +
                "--resume: what it holds is computed again");
    }

    public void Dispose() => file.Dispose();

    private static byte[] Require(SafeFileHandle file, long from, int count)
    {
        byte[] bytes = new byte[count];
        int read = Read(file, from, bytes);
        return read == count ? bytes : throw new InvalidDataException($"it ends after {from + read} bytes, within its head");
    }

    // How many bytes there are, at most as many as fit.
    private static int Read(SafeFileHandle file, long from, Span<byte> bytes)
    {
        int all = 0;
        while (all < bytes.Length && RandomAccess.Read(file, bytes[all..], from + all) is > 0 and var read) all += read;
        return all;
    }

    private static Description Parse(byte[] text)
    {
        try
        {
            return JsonSerializer.Deserialize<Description>(text) is { Key: not null } description
                ? description
                : throw new InvalidDataException("its description is empty");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"its description cannot be read ({error.Message})", error);
        }
    }

    private sealed record Description(TeacherCacheKey Key, int Number, int Files, int Sequences, long Targets);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Sequence(long Start, long First, ulong Sum);
}
