using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers;

// Encodes a text once for each line on standard input, and answers with a line "tokens wallSeconds processorSeconds hash".
var tokenizer = Tokenizer.Load(args[0]);
var text = Encoding.UTF8.GetString(File.ReadAllBytes(args[1]));   // a byte order mark is text to tiktoken too
var ids = new ArrayBufferWriter<int>(text.Length);
var cold = args.Length > 2;   // nothing is remembered from the round before
while (Console.ReadLine() is not null)
{
    ids.ResetWrittenCount();
    tokenizer = cold ? Tokenizer.Load(args[0]) : tokenizer;
    using var process = Process.GetCurrentProcess();
    var (processor, wall) = (process.TotalProcessorTime, Stopwatch.GetTimestamp());
    tokenizer.Encode(text.AsSpan(), ids);
    var elapsed = Stopwatch.GetElapsedTime(wall);
    process.Refresh();
    var hash = 0u;
    foreach (var id in ids.WrittenSpan)
        hash = hash * 31 + (uint)id;
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{ids.WrittenCount} {elapsed.TotalSeconds:F6} {(process.TotalProcessorTime - processor).TotalSeconds:F6} {hash}"));
}
