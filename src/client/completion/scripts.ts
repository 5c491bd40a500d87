// What a shell needs to complete gpuctl's command lines: it asks gpuctl itself. Pure; imports nothing.
// Each script hands the line up to the cursor to `gpuctl __complete`, which answers a line per proposal:
// the whole word, a tab, and what it is.

/** bash breaks words at `:` and `=` and wants only what comes after the last break; it shows no descriptions. */
const BASH = `# bash completion for gpuctl. Now: source <(gpuctl completion bash)
# For good: gpuctl completion bash > /etc/bash_completion.d/gpuctl
_gpuctl() {
  local line="\${COMP_LINE:0:COMP_POINT}" proposal before=""
  local word="\${line##*[[:space:]]}"
  [[ $word == *[:=]* ]] && before="\${word%"\${word##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\t' read -r proposal _; do
    COMPREPLY+=("\${proposal#"$before"}")
  done < <("\${COMP_WORDS[0]}" __complete "$line" 2>/dev/null)
}
complete -F _gpuctl gpuctl
`;

const ZSH = `#compdef gpuctl
# zsh completion for gpuctl. Now: source <(gpuctl completion zsh)
# For good: gpuctl completion zsh > a folder of $fpath, as _gpuctl
_gpuctl() {
  local proposal text
  local -a proposals
  while IFS=$'\t' read -r proposal text; do
    proposals+=("\${proposal//:/\\:}:$text")
  done < <("\${words[1]}" __complete "\${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)
  _describe gpuctl proposals
}
if [[ "\${funcstack[1]}" = _gpuctl ]]; then _gpuctl; else compdef _gpuctl gpuctl; fi
`;

const FISH = `# fish completion for gpuctl. Now: gpuctl completion fish | source
# For good: gpuctl completion fish > ~/.config/fish/completions/gpuctl.fish
complete -c gpuctl -f -a '(gpuctl __complete (commandline -cp) 2>/dev/null)'
`;

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
