using System.Buffers;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.RegularExpressions;

/// <summary>Oniguruma's Ruby syntax and backtracking limit, on whole Unicode characters. .NET's expressions match UTF-16 units and define
/// <c>\w</c>, <c>\h</c> and <c>$</c> differently, so results would differ from Hugging Face's.</summary>
internal sealed class RegularExpression
{
    private const int MaxSteps = 10_000_000;

    private readonly Instruction[] program;

    public RegularExpression(string pattern)
    {
        Pattern = pattern;
        program = RegularExpressionCompiler.Compile(RegularExpressionParser.Parse(pattern));
    }

    public string Pattern { get; }

    public bool Find(ReadOnlySpan<char> text, int from, out int start, out int end)
    {
        var matcher = new Matcher(text, Pattern);
        for (start = from; start <= text.Length; start += Step(text, start))
        {
            matcher.Steps = 0;
            end = matcher.Match(program, start);
            if (end >= 0)
                return true;
        }
        end = -1;
        return false;
    }

    private static int Step(ReadOnlySpan<char> text, int at) =>
        at + 1 < text.Length && char.IsHighSurrogate(text[at]) && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;

    private ref struct Matcher(ReadOnlySpan<char> text, string pattern)
    {
        private readonly ReadOnlySpan<char> text = text;

        public int Steps { get; set; }

        /// <summary>The end of the match at <paramref name="start"/>, or −1.</summary>
        public int Match(Instruction[] program, int start)
        {
            var stack = new Backtracks();
            var (counter, position) = (0, start);
            while (true)
            {
                if (++Steps > MaxSteps)
                    throw new UserException($"the regular expression {pattern} of the tokenizer needs more than {MaxSteps:N0} steps on a "
                        + $"text of {text.Length:N0} characters; split the text into shorter ones");
                var instruction = program[counter];
                if (instruction.Operation == Operation.Match)
                {
                    stack.Return();
                    return position;
                }
                if (Advance(instruction, ref counter, ref position, ref stack))
                    continue;
                if (!stack.Pop(text, out counter, out position))
                {
                    stack.Return();
                    return -1;
                }
            }
        }

        private bool Advance(Instruction instruction, ref int counter, ref int position, ref Backtracks stack)
        {
            switch (instruction.Operation)
            {
                case Operation.One:
                    if (!Take(instruction.Set!, ref position))
                        return false;
                    break;
                case Operation.Run:
                    if (!Run(instruction, counter, ref position, ref stack))
                        return false;
                    break;
                case Operation.Split:
                    stack.Push(instruction.Second, position, position);
                    counter = instruction.First;
                    return true;
                case Operation.Jump:
                    counter = instruction.First;
                    return true;
                case Operation.Assert:
                    if (!Holds((Anchor)instruction.First, position))
                        return false;
                    break;
                case Operation.LookAhead:
                    if (Match(instruction.Program![0], position) >= 0 == instruction.Flag)
                        return false;
                    break;
                case Operation.LookBehind:
                    if (MatchesBehind(instruction, position) == instruction.Flag)
                        return false;
                    break;
                case Operation.Atomic:
                    var end = Match(instruction.Program![0], position);
                    if (end < 0)
                        return false;
                    position = end;
                    break;
            }
            counter++;
            return true;
        }

        private bool Run(Instruction run, int counter, ref int position, ref Backtracks stack)
        {
            var (count, least) = (0, position);
            while ((run.Second < 0 || count < run.Second) && Take(run.Set!, ref position))
                if (++count == run.First)
                    least = position;
            if (count < run.First)
                return false;
            if (!run.Flag && position > least)
                stack.Push(counter + 1, position, least);
            return true;
        }

        private bool Take(CodePointSet set, ref int position)
        {
            if (position >= text.Length)
                return false;
            int codePoint = text[position];
            var length = Step(text, position);
            if (length == 2)
                codePoint = char.ConvertToUtf32((char)codePoint, text[position + 1]);
            if (!set.Contains(codePoint))
                return false;
            position += length;
            return true;
        }

        private bool MatchesBehind(Instruction look, int position)
        {
            for (var i = 0; i < look.Program!.Length; i++)
            {
                var start = position;
                for (var characters = look.Lengths![i]; characters > 0 && start >= 0; characters--)
                    start = Backtracks.Previous(text, start);
                if (start >= 0 && Match(look.Program[i], start) == position)
                    return true;
            }
            return false;
        }

        private readonly bool Holds(Anchor anchor, int position) => anchor switch
        {
            Anchor.TextStart => position == 0,
            Anchor.TextEnd => position == text.Length,
            Anchor.LastLineEnd => position == text.Length || (position == text.Length - 1 && text[position] == '\n'),
            Anchor.LineStart => position == 0 || (text[position - 1] == '\n' && position < text.Length),
            Anchor.LineEnd => position == text.Length || text[position] == '\n',
            Anchor.WordBoundary => IsWordBefore(position) != IsWordAt(position),
            _ => IsWordBefore(position) == IsWordAt(position),
        };

        private readonly bool IsWordAt(int position) =>
            position < text.Length && Rune.DecodeFromUtf16(text[position..], out var character, out _) == OperationStatus.Done
                && CharacterSets.Word.Contains(character.Value);

        private readonly bool IsWordBefore(int position) =>
            position > 0 && Rune.DecodeLastFromUtf16(text[..position], out var character, out _) == OperationStatus.Done
                && CharacterSets.Word.Contains(character.Value);
    }

    /// <summary>The open choices. A run is one entry that gives back one character at a time.</summary>
    private ref struct Backtracks
    {
        private int[]? entries;
        private int count;

        public void Push(int counter, int position, int least)
        {
            entries ??= ArrayPool<int>.Shared.Rent(48);
            if (count + 3 > entries.Length)
                Grow();
            entries[count++] = counter;
            entries[count++] = position;
            entries[count++] = least;
        }

        public bool Pop(ReadOnlySpan<char> text, out int counter, out int position)
        {
            (counter, position) = (0, 0);
            if (count == 0)
                return false;
            var (at, least) = (entries![count - 2], entries[count - 1]);
            counter = entries[count - 3];
            position = at == least ? at : Previous(text, at);
            if (position == least)
                count -= 3;
            else
                entries[count - 2] = position;
            return true;
        }

        public static int Previous(ReadOnlySpan<char> text, int position) =>
            position >= 2 && char.IsLowSurrogate(text[position - 1]) && char.IsHighSurrogate(text[position - 2])
                ? position - 2
                : position - 1;

        public void Return()
        {
            if (entries is not null)
                ArrayPool<int>.Shared.Return(entries);
            entries = null;
        }

        private void Grow()
        {
            var larger = ArrayPool<int>.Shared.Rent(entries!.Length * 2);
            entries.AsSpan(0, count).CopyTo(larger);
            ArrayPool<int>.Shared.Return(entries);
            entries = larger;
        }
    }
}

/// <summary>All matches from left to right, as Oniguruma's Rust binding yields them: not an empty one right after another match.</summary>
internal ref struct Matches(RegularExpression expression, ReadOnlySpan<char> text)
{
    private readonly ReadOnlySpan<char> text = text;
    private int from;
    private int previousEnd = -1;

    public int Start { get; private set; }

    public int End { get; private set; }

    public bool MoveNext()
    {
        while (from <= text.Length && expression.Find(text, from, out var start, out var end))
        {
            from = end;
            if (start == end && end == previousEnd)
            {
                from += from + 1 < text.Length && char.IsHighSurrogate(text[from]) ? 2 : 1;
                continue;
            }
            (Start, End, previousEnd) = (start, end, end);
            return true;
        }
        return false;
    }
}

internal sealed class RegularExpressionException(string message) : Exception(message);
