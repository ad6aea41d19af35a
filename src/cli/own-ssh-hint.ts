/** The way out for what this client does not do: the user's own ssh, over the same tunnel. */
export const OWN_SSH_HINT =
  "your own ssh has it, over the same tunnel: ssh -o ProxyCommand='cloudtun proxy %h %p' USER@TARGET";
