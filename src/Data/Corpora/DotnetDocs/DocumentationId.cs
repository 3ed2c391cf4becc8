using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Data;

/// <summary>The identifier of a documented member, such as <c>M:System.String.Trim(System.Char)</c> (ECMA-334, annex D.4.2).</summary>
/// <param name="Kind">T, M, P, F, E …</param>
/// <param name="Type">The full name of the type itself, or of the member's type.</param>
/// <param name="Member">The member's name, empty for a type.</param>
/// <param name="Parameters">The parameters' types as written in the identifier.</param>
internal sealed partial record DocumentationId(char Kind, string Type, string Member, IReadOnlyList<string> Parameters)
{
    /// <summary>Takes an identifier apart.</summary>
    public static DocumentationId Parse(string id)
    {
        var kind = id.Length > 2 && id[1] == ':' ? id[0] : '!';
        var rest = kind == '!' ? id[(id.IndexOf(':') + 1)..] : id[2..];
        rest = rest.Split('~')[0];   // the result of a conversion operator
        var open = rest.IndexOf('(');
        var name = open < 0 ? rest : rest[..open];
        string[] parameters = open < 0 ? [] : SplitTopLevel(rest[(open + 1)..].TrimEnd(')'));
        if (kind is 'T' or 'N' or '!')
            return new DocumentationId(kind, name, "", parameters);
        var dot = name.LastIndexOf('.');
        return new DocumentationId(kind, dot < 0 ? "" : name[..dot], name[(dot + 1)..], parameters);
    }

    /// <summary>How running text names it: type, or type and member, without namespace or parameters.</summary>
    public string ShortName => Kind switch
    {
        'N' => Type,
        'T' or '!' => SimpleType(Type, null),
        _ => Member is "#ctor" ? SimpleType(Type, null) : $"{SimpleType(Type, null)}.{MemberName}",
    };

    /// <summary>The heading of its entry: full name for a type, signature for a member.</summary>
    /// <param name="parameterNames">The names of its parameters.</param>
    /// <param name="typeParameters">The names of its type's type parameters.</param>
    /// <param name="methodTypeParameters">The names of its own type parameters.</param>
    public string Heading(IReadOnlyList<string> parameterNames, IReadOnlyList<string> typeParameters, IReadOnlyList<string> methodTypeParameters)
    {
        if (Kind == 'T')
            return (Type.LastIndexOf('.') is var dot and > 0 ? Arities().Replace(Type[..(dot + 1)], "") : "") + SimpleType(Type, typeParameters);
        var type = SimpleType(Type, typeParameters);
        var generic = methodTypeParameters.Count > 0 ? $"<{string.Join(", ", methodTypeParameters)}>" : "";
        var name = Member == "#ctor" ? $"new {type}" : $"{type}.{MemberName}{generic}";
        if (Kind != 'M' && Parameters.Count == 0)
            return name;
        var parameters = Parameters.Select((parameter, index) =>
            ParameterType(parameter, typeParameters, methodTypeParameters) + (index < parameterNames.Count ? " " + parameterNames[index] : ""));
        return $"{name}({string.Join(", ", parameters)})";
    }

    private string MemberName
    {
        get
        {
            var name = Arities().Replace(Member[(Member.LastIndexOf('#') + 1)..], "");   // explicit implementations carry their interface
            return name.StartsWith("op_", StringComparison.Ordinal) ? $"operator {name[3..]}" : name;
        }
    }

    /// <summary>The type's own name, with its type parameters: <c>List&lt;T&gt;</c>.</summary>
    private static string SimpleType(string type, IReadOnlyList<string>? typeParameters)
    {
        var name = type[(type.LastIndexOf('.') + 1)..];
        var tick = name.IndexOf('`');
        if (tick < 0)
            return name;
        var arity = int.TryParse(name[(tick + 1)..], out var count) ? count : 1;
        var names = typeParameters?.Count == arity ? typeParameters : arity == 1 ? ["T"] : [.. Enumerable.Range(1, arity).Select(number => $"T{number}")];
        return $"{name[..tick]}<{string.Join(", ", names)}>";
    }

    private static string ParameterType(string type, IReadOnlyList<string> typeParameters, IReadOnlyList<string> methodTypeParameters)
    {
        type = type.Split('|', '!')[0];   // custom modifiers follow these signs
        var text = Namespaces().Replace(type, "").Replace('{', '<').Replace('}', '>').Replace(",", ", ");
        text = Dimensions().Replace(text, match => "[" + new string(',', match.Value.Count(c => c == ',')) + "]");
        text = MethodParameter().Replace(text, match => At(methodTypeParameters, match));
        text = TypeParameter().Replace(text, match => At(typeParameters, match));
        return text.EndsWith('@') ? "ref " + text[..^1] : text;
    }

    /// <summary>The name of a type parameter, or the customary one where it is not documented.</summary>
    private static string At(IReadOnlyList<string> names, Match match)
    {
        var index = int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        return index < names.Count ? names[index] : index == 0 ? "T" : $"T{index + 1}";
    }

    private static string[] SplitTopLevel(string list)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        var depth = 0;
        foreach (var c in list)
        {
            depth += c is '{' or '[' ? 1 : c is '}' or ']' ? -1 : 0;
            if (c == ',' && depth == 0)
            {
                parts.Add(part.ToString());
                part.Clear();
            }
            else
                part.Append(c);
        }
        return part.Length == 0 && parts.Count == 0 ? [] : [.. parts, part.ToString()];
    }

    [GeneratedRegex(@"`+\d+")]
    private static partial Regex Arities();

    [GeneratedRegex(@"[A-Za-z_][\w]*\.")]
    private static partial Regex Namespaces();

    [GeneratedRegex(@"\[0?:[^\]]*\]")]
    private static partial Regex Dimensions();

    [GeneratedRegex(@"``(\d{1,4})")]
    private static partial Regex MethodParameter();

    [GeneratedRegex(@"`(\d{1,4})")]
    private static partial Regex TypeParameter();
}
